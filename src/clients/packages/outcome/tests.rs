use super::*;

/// Recorded from apt 2.6.2 and dpkg 1.21.22.
#[test]
fn output_of_apt_and_dpkg_is_classified() {
    let rows = [
        (
            "Reading package lists...\nE: Could not get lock /var/lib/apt/lists/lock. It is held by process 3535 (python3)\nE: Unable to lock directory /var/lib/apt/lists/\n",
            PackageFailureKind::Locked,
        ),
        (
            "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 5322 (unattended-upgr)...\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n",
            PackageFailureKind::Locked,
        ),
        (
            "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock. It is held by process 5368 (dpkg)...\n",
            PackageFailureKind::Locked,
        ),
        ("dpkg: error: dpkg frontend lock was locked by another process with pid 5322\nNote: removing the lock file is always wrong\n", PackageFailureKind::Locked),
        ("E: Unable to lock the administration directory (/var/lib/dpkg/), is another process using it?\n", PackageFailureKind::Locked),
        (
            "Err:1 https://packages.microsoft.com/debian/12/prod bookworm InRelease\n  Could not resolve 'packages.microsoft.com'\nReading package lists...\nW: Failed to fetch https://packages.microsoft.com/debian/12/prod/dists/bookworm/InRelease  Could not resolve 'packages.microsoft.com'\nW: Some index files failed to download. They have been ignored, or old ones used instead.\n",
            PackageFailureKind::Unreachable(UnreachableCause::Name),
        ),
        (
            "E: Failed to fetch https://packages.microsoft.com/debian/12/prod/dists/bookworm/InRelease  Could not connect to 169.254.0.11:3128 (169.254.0.11). - connect (111: Connection refused)\n",
            PackageFailureKind::Unreachable(UnreachableCause::Connection),
        ),
        (
            "W: Failed to fetch https://packages.microsoft.com/debian/12/prod/dists/bookworm/InRelease  Invalid response from proxy: HTTP/1.0 403 Forbidden  Server: x  Content-Length: 349     [IP: 169.254.0.11 3128]\n",
            PackageFailureKind::Unreachable(UnreachableCause::Proxy(403)),
        ),
        (
            "Err:1 http://x/prod bookworm InRelease\n  403  Forbidden [IP: 10.0.0.1 80]\nE: Failed to fetch http://x/prod/dists/bookworm/InRelease  403  Forbidden [IP: 10.0.0.1 80]\nE: The repository 'http://x/prod bookworm InRelease' is not signed.\n",
            PackageFailureKind::Unreachable(UnreachableCause::Status(403)),
        ),
        (
            "Ign:1 http://x/prod bookworm InRelease\nErr:2 http://x/prod bookworm Release\n  404  Not Found [IP: 10.0.0.1 80]\nE: The repository 'http://x/prod bookworm Release' does not have a Release file.\n",
            PackageFailureKind::Unreachable(UnreachableCause::Status(404)),
        ),
        ("E: Failed to fetch http://x/InRelease  407  Proxy Authentication Required [IP: 10.0.0.1 80]\n", PackageFailureKind::Unreachable(UnreachableCause::Proxy(407))),
        ("W: Failed to fetch http://x/InRelease  503  Service Unavailable [IP: 10.0.0.1 80]\n", PackageFailureKind::Unreachable(UnreachableCause::Status(503))),
        (
            "E: Failed to fetch https://x/InRelease  Certificate verification failed: The certificate is NOT trusted. The certificate issuer is unknown.\n",
            PackageFailureKind::Unreachable(UnreachableCause::Certificate),
        ),
        (
            "W: GPG error: https://packages.microsoft.com/debian/13/prod trixie InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY EE4D7792F748182B\nE: The repository 'https://packages.microsoft.com/debian/13/prod trixie InRelease' is not signed.\n",
            PackageFailureKind::Untrusted,
        ),
        ("W: GPG error: file:/x bookworm InRelease: The following signatures were invalid: BADSIG 0969F89728A159AF Example Signing <sign@example.org>\n", PackageFailureKind::Untrusted),
        ("E: The repository 'file:/x bookworm Release' is not signed.\n", PackageFailureKind::Untrusted),
        (
            "E: Conflicting values set for option Signed-By regarding source https://packages.microsoft.com/debian/12/prod/ bookworm: /a.asc != /b.gpg\nE: The list of sources could not be read.\n",
            PackageFailureKind::BrokenSources,
        ),
        ("E: Malformed entry 1 in list file /etc/apt/sources.list.d/m.list (Suite)\nE: The list of sources could not be read.\n", PackageFailureKind::BrokenSources),
        ("Reading package lists...\nBuilding dependency tree...\nE: Unable to locate package azcmagent\n", PackageFailureKind::PackageNotFound),
        ("Package azcmagent is not available, but is referred to by another package.\n\nE: Version '1.99' for 'azcmagent' was not found\n", PackageFailureKind::VersionNotFound),
        ("E: Package 'azcmagent' has no installation candidate\n", PackageFailureKind::PackageNotFound),
        (
            "Some packages could not be installed. This may mean that you have\nrequested an impossible situation\n\nThe following packages have unmet dependencies:\n azcmagent : Depends: not-there (>= 2) but it is not installable\nE: Unable to correct problems, you have held broken packages.\n",
            PackageFailureKind::UnmetDependencies,
        ),
        (
            "dpkg: dependency problems prevent configuration of azcmagent:\n azcmagent depends on not-there (>= 2); however:\n  Package not-there is not installed.\n\ndpkg: error processing package azcmagent (--install):\n dependency problems - leaving unconfigured\n",
            PackageFailureKind::UnmetDependencies,
        ),
        ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem. \n", PackageFailureKind::Interrupted),
        ("E: Failed to fetch file:/x/Packages  Hash Sum mismatch\n   Hashes of expected file:\n", PackageFailureKind::Unreachable(UnreachableCause::Unknown)),
        ("E: You don't have enough free space in /var/cache/apt/archives/.\n", PackageFailureKind::DiskFull),
        (
            "dpkg: error processing archive /a.deb (--unpack):\n cannot copy extracted data for './opt/x': failed to write (No space left on device)\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n",
            PackageFailureKind::DiskFull,
        ),
    ];
    check(&rows);
}

/// Recorded from dnf 4.14.0, but for the last ones, of yum and tdnf.
#[test]
fn output_of_dnf_yum_and_tdnf_is_classified() {
    let metadata = "Error: Failed to download metadata for repo 'packages-microsoft-prod': Cannot download repomd.xml: Cannot download repodata/repomd.xml: All mirrors were tried\n";
    let rows = [
        (
            "metadata already locked by 8274\n  The application with PID 8274 is: python3\n    Memory :  13 M RSS ( 16 MB VSZ)\n    State  : Sleeping\n",
            PackageFailureKind::Locked,
        ),
        ("Waiting for process with pid 8274 to finish.\n", PackageFailureKind::Locked),
        (
            "  - Curl error (7): Couldn't connect to server for http://127.0.0.1:9/x/repodata/repomd.xml [Failed to connect to 127.0.0.1 port 9 after 0 ms: Couldn't connect to server]\n",
            PackageFailureKind::Unreachable(UnreachableCause::Connection),
        ),
        ("  - Status code: 403 for http://x/repodata/repomd.xml (IP: 127.0.0.1)\n", PackageFailureKind::Unreachable(UnreachableCause::Status(403))),
        (
            "  - Curl error (6): Couldn't resolve host name for https://packages.microsoft.com/rhel/9/prod/repodata/repomd.xml [Could not resolve host: packages.microsoft.com]\n",
            PackageFailureKind::Unreachable(UnreachableCause::Name),
        ),
        (
            "  - Curl error (56): PackageFailure when receiving data from the peer for https://packages.microsoft.com/rhel/9/prod/repodata/repomd.xml [CONNECT tunnel failed, response 403]\n",
            PackageFailureKind::Unreachable(UnreachableCause::Proxy(403)),
        ),
        ("  - Curl error (56): PackageFailure when receiving data from the peer [Received HTTP code 407 from proxy after CONNECT]\n", PackageFailureKind::Unreachable(UnreachableCause::Proxy(407))),
        (metadata, PackageFailureKind::Unreachable(UnreachableCause::Unknown)),
        ("No match for argument: azcmagent-1.99\nError: Unable to find a match: azcmagent-1.99\n", PackageFailureKind::VersionNotFound),
        ("No match for argument: azcmagent-1.63.*\nError: Unable to find a match: azcmagent-1.63.*\n", PackageFailureKind::VersionNotFound),
        ("No match for argument: azcmagent\nError: Unable to find a match: azcmagent\n", PackageFailureKind::PackageNotFound),
        ("Package azcmagent-1.60.1-1.noarch.rpm is not signed\nError: GPG check FAILED\n", PackageFailureKind::Untrusted),
        (
            "Error: \n Problem: cannot install the best candidate for the job\n  - nothing provides not-there >= 2 needed by azcmagent-1.63.2-1.noarch\n",
            PackageFailureKind::UnmetDependencies,
        ),
        ("Error: Transaction test error:\n  installing package azcmagent-1 needs 20MB more space needed on the / filesystem\n", PackageFailureKind::DiskFull),
        (
            "Another app is currently holding the yum lock; waiting for it to exit...\n  The other application is: yum\n    Memory :  13 M RSS\n    State  : Sleeping, pid: 1234\n",
            PackageFailureKind::Locked,
        ),
        ("warning: /x.rpm: Header V4 RSA/SHA256 Signature, key ID be1229cf: NOKEY\nPublic key for x.rpm is not installed\n", PackageFailureKind::Untrusted),
        // The key was to be imported while another program held rpm's own lock.
        (
            "error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily unavailable)\nKey import failed (code 2). Failing package is: azcmagent-1.58.03228-700.x86_64\n GPG Keys are configured as: file:///etc/pki/rpm-gpg/RPM-GPG-KEY-packages-microsoft-prod\nError: GPG check FAILED\n",
            PackageFailureKind::Locked,
        ),
        ("warning: waiting for transaction lock on /var/lib/rpm/.rpm.lock\n", PackageFailureKind::Locked),
        ("waiting for tdnf_instance lock on /var/run/.tdnf-instance-lockfile\n", PackageFailureKind::Locked),
        ("azcmagent package not found or not installed\nError(1011) : No matching packages\n", PackageFailureKind::PackageNotFound),
    ];
    check(&rows);
}

/// Recorded from zypper 1.14.42.
#[test]
fn output_of_zypper_is_classified() {
    let rows = [
        (
            "System management is locked by the application with pid 8827 (/usr/bin/zypper).\nClose this application before trying again.\n",
            PackageFailureKind::Locked,
        ),
        (
            "Repository 'Microsoft packages' is invalid.\n[packages-microsoft-prod|http://x] Valid metadata not found at specified URL\nHistory:\n - Download (curl) error for 'http://x/content':\nError code: Connection failed\nError message: Could not resolve host: packages.microsoft.com\n",
            PackageFailureKind::Unreachable(UnreachableCause::Name),
        ),
        (
            "[p|https://x/] Valid metadata not found at specified URL\nHistory:\n - Download (curl) error for 'https://x/repodata/repomd.xml':\nError code: HTTP response: 0\nError message: The requested URL returned error: 403\n",
            PackageFailureKind::Unreachable(UnreachableCause::Status(403)),
        ),
        (
            "File 'repomd.xml' from repository 'Microsoft packages' is unsigned, continue? [yes/no] (no): no\n[p|dir:/x] Valid metadata not found at specified URL\nHistory:\n - Signature verification failed for repomd.xml\n - Can't provide /repodata/repomd.xml\n",
            PackageFailureKind::Untrusted,
        ),
        ("'azcmagent=1.99' not found in package names. Trying capabilities.\nNo provider of 'azcmagent=1.99' found.\n", PackageFailureKind::VersionNotFound),
        ("'azcmagent<1.61' not found in package names. Trying capabilities.\nNo provider of 'azcmagent<1.61' found.\n", PackageFailureKind::VersionNotFound),
        ("'azcmagent' not found in package names. Trying capabilities.\nNo provider of 'azcmagent' found.\n", PackageFailureKind::PackageNotFound),
        ("Problem: nothing provides 'not-there >= 2' needed by the to be installed azcmagent-1.63.2-1.noarch\n Solution 1: do not install\n", PackageFailureKind::UnmetDependencies),
    ];
    check(&rows);
}

fn check(rows: &[(&str, PackageFailureKind)]) {
    for (output, expected) in rows {
        let found = classify(output);
        assert_eq!(found.kind, *expected, "{output}\n{}", found.line);
        assert!(output.contains(&found.line), "{}", found.line);
    }
}

#[test]
fn an_unknown_failure_shows_the_most_specific_line() {
    let rows = [
        (
            "Setting up azcmagent ...\ndpkg: error processing package azcmagent (--configure):\n installed azcmagent package post-installation script subprocess returned error exit status 1\nErrors were encountered while processing:\n azcmagent\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n",
            "dpkg: error processing package azcmagent (--configure):",
        ),
        ("strange\nwords\n\n", "words"),
        ("", "no output"),
    ];
    for (output, line) in rows {
        assert_eq!(
            classify(output),
            PackageFailure { kind: PackageFailureKind::Other, line: line.to_owned() }
        );
        assert_eq!(find(output), None);
    }
    assert_eq!(classify(&"x".repeat(1000)).line.chars().count(), 301);
}

#[test]
fn the_output_of_a_success_is_not_a_failure() {
    for output in [
        "Get:1 https://packages.microsoft.com/debian/12/prod bookworm InRelease [3618 B]\nFetched 404 kB in 1s (403 kB/s)\nReading package lists...\n",
        "The following NEW packages will be installed:\n  azcmagent\nSetting up azcmagent (1.63.2.1) ...\n",
        "Metadata cache created.\n",
    ] {
        assert_eq!(find(output), None);
    }
}
