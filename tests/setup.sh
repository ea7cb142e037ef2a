# shellcheck shell=bash
# What tests/demo and tests/run share: finds what this machine lacks and installs it, where it has apt-get.
# Sourced in the top folder of the repository.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# set_up NEED…: returns when all of them are there, else says what to type and ends with 1. The needs are `rust`,
# `c-compiler`, `certificates`, `python-venv` and the names of programs.
set_up() {
    # Where rustup puts cargo; a shell that was open during the installation does not have it in its PATH.
    command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
    local missing packages
    mapfile -t missing < <(missing_of "$@")
    ((${#missing[@]})) || return 0
    say "missing on this machine: ${missing[*]}"
    case $(package_manager) in
    apt-get) install_with_apt "${missing[@]}" ;;
    none) say "no package manager that this script knows is here; install these by hand" ;;
    *)
        mapfile -t packages < <(packages_for "${missing[@]}")
        say "to install it, as root: $(package_manager) install ${packages[*]}"
        ;;
    esac
    mapfile -t missing < <(missing_of "${missing[@]}")
    ((${#missing[@]})) || return 0
    explain "${missing[@]}"
    exit 1
}

missing_of() {
    local need
    for need in "$@"; do
        has "$need" || printf '%s\n' "$need"
    done
}

has() {
    case $1 in
    rust) is_new_enough "$(version_of rustc)" && is_new_enough "$(version_of cargo)" ;;
    # Headers of the C library come in a package of their own.
    c-compiler) cc -x c -fsyntax-only - <<<'#include <stdlib.h>' 2>/dev/null ;;
    certificates) has_certificates ;;
    # Debian's python3 has venv, but not the ensurepip that venv needs.
    python-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# Debian's, Fedora's and SUSE's place.
has_certificates() {
    local file
    for file in "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" /etc/pki/tls/certs/ca-bundle.crt \
        /etc/ssl/ca-bundle.pem; do
        [[ -s $file ]] && return
    done
    return 1
}

version_of() { "$1" --version 2>/dev/null | cut -d ' ' -f 2; }

rust_wanted() { sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml; }

is_new_enough() {
    [[ $1 == [0-9]* ]] && printf '%s\n' "$(rust_wanted)" "$1" | sort --version-sort --check=quiet
}

package_manager() {
    local name
    for name in apt-get dnf zypper; do
        command -v $name >/dev/null && break
        name=none
    done
    echo $name
}

# The packages that bring these needs, one a line.
packages_for() {
    local manager need
    manager=$(package_manager)
    for need in "$@"; do
        case $manager/$need in
        apt-get/rust) rust_package ;;
        */rust) echo cargo ;;
        apt-get/c-compiler) printf '%s\n' gcc libc6-dev ;;
        */c-compiler) printf '%s\n' gcc glibc-devel ;;
        */certificates) echo ca-certificates ;;
        apt-get/python-venv) echo python3-venv ;;
        */python-venv) echo python3 ;;
        # The package `tinyproxy` would start a service.
        apt-get/tinyproxy) echo tinyproxy-bin ;;
        dnf/ip) echo iproute ;;
        */ip) echo iproute2 ;;
        dnf/pgrep) echo procps-ng ;;
        */pgrep) echo procps ;;
        */systemd-analyze) echo systemd ;;
        *) echo "$need" ;;
        esac
    done
}

# Nothing, where apt has no Rust that is new enough. Debian 12 has one for its browsers, beside the one that it
# was released with; which of both is asked for goes by the release when there are no package lists yet.
rust_package() {
    local package
    for package in cargo cargo-web; do
        if is_new_enough "$(candidate $package)"; then
            echo $package
            return
        fi
    done
    [[ -n $(candidate cargo) ]] && return
    if grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release; then echo cargo-web; else echo cargo; fi
}

candidate() { LC_ALL=C apt-cache policy "$1" | sed -n 's/^  Candidate: //p'; }

# Whether a package of the distribution is in the way of `cargo-web`, which would replace it.
has_other_rust() {
    # It fails where it does not know all of the packages.
    grep -qx installed < <(dpkg-query -W -f '${db:Status-Status}\n' cargo rustc rustup 2>/dev/null)
}

install_with_apt() {
    local sudo=()
    if [[ $(id -u) != 0 ]]; then
        command -v sudo >/dev/null || return 0
        sudo=(sudo)
    fi
    "${sudo[@]}" apt-get -qq update >&2 ||
        say "not every package list could be fetched; going on with those that are here"
    local packages
    mapfile -t packages < <(packages_for "$@")
    if has_other_rust; then mapfile -t packages < <(printf '%s\n' "${packages[@]}" | grep -vx cargo-web); fi
    ((${#packages[@]})) || return 0
    say "installing ${packages[*]}"
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends --no-remove \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "${packages[@]}" >&2 || say "apt-get ended with $?"
    hash -r
}

# What a person does about needs that could not be installed.
explain() {
    say "still missing: $*"
    local packages
    mapfile -t packages < <(packages_for "$@")
    if [[ $(package_manager) == apt-get ]] && ((${#packages[@]})); then
        say "to install it, as root: apt-get update && apt-get install --no-install-recommends ${packages[*]}"
        if [[ " ${packages[*]} " == *" cargo-web "* ]] && has_other_rust; then
            say "cargo-web replaces the packages of Rust that are installed"
        fi
    fi
    [[ " $* " == *" rust "* ]] || return 0
    say "Rust $(rust_wanted) or later is needed; here is: $(version_of cargo || echo none)"
    if command -v rustup >/dev/null; then
        say "rustup has it: rustup update stable && rustup default stable"
    else
        say "where no package has it, rustup does: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    fi
}
