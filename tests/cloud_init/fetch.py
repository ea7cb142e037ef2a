"""`arc-enroll user-data --fetch-url` and `--without-binary`: the scripts they write, run on machines."""

import base64
import gzip
import hashlib
import json
import re
import shlex
import subprocess
from pathlib import Path

BINARY = "/usr/local/bin/arc-enroll"
PACKAGED = "/usr/bin/arc-enroll"
SCRIPT = "/usr/local/sbin/arc-enroll-fetch"
PROXY = "http://127.0.0.1:3128"
NEIGHBOURS = Path(__file__).with_name("neighbours.py").read_bytes()
TEMPLATE = Path("src/operator/user_data/fetch.sh")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MEMBERS = ["timestamp", "level", "run_id", "condition", "event", "message"]

# Delays are counted in hundredths of a second.
SLEEP = b'#!/bin/sh\nexec /usr/bin/sleep "$(printf 0.%02d "$1")"\n'

# Each fault: the servers' plan, the changes of the call, the exit code, and text of the log line.
HTTPS = {"url": "https://mirror.example:8443/arc-enroll?sig=canary"}
FAULTS = {
    "fetch.digest": ({"replies": ["/srv/other"]}, {}, 17, ["not the binary expected", "SHA-256"]),
    "fetch.refused": ({"connect": 403}, HTTPS, 17, ["refuses mirror.example:8443", "'domainName':'mirror.example','port':8443"]),
    "fetch.refused by http": ({"replies": [403]}, {}, 17, ["refuses mirror.example:80", "additional-egress-endpoints"]),
    "fetch.refused on the way": (
        {"replies": ["http://elsewhere.example/x", 403] * 900}, {}, 17, ["refuses elsewhere.example:80", "'domainName':'elsewhere.example'"],
    ),
    "fetch.missing": ({"replies": [404]}, {}, 17, ["answers 404"]),
    "fetch.denied": ({"replies": [401]}, {}, 17, ["answers 401"]),
    "fetch.denied behind TLS": (
        {"replies": [403], "certificate": "/srv/host.pem"}, {**HTTPS, "trusted": True}, 17, ["mirror.example:8443/arc-enroll answers 403"],
    ),
    "fetch.unreachable": ({"replies": [503]}, {}, 75, ["answers 503"]),
    "fetch.unreachable behind the proxy": ({"connect": 502}, HTTPS, 75, ["answers 502 for mirror.example:8443"]),
    "fetch.proxy": ({"after": 99}, {}, 75, [f"the proxy {PROXY} cannot be reached"]),
    "fetch.proxy-authentication": ({"credentials": "u:secret"}, {}, 15, ["asks for a user and a password"]),
    "fetch.proxy-authentication of CONNECT": ({"credentials": "u:secret"}, HTTPS, 15, ["asks for a user and a password"]),
    "fetch.tls": ({"certificate": "/srv/host.pem"}, HTTPS, 17, ["TLS with mirror.example fails"]),
    "fetch.not-written": ({}, {"mount": "size=4k"}, 11, ["cannot be written", "df: tmpfs"]),
    "fetch.not-executable": ({}, {"mount": "noexec"}, 3, ["mounted noexec"]),
    "fetch.no-downloader": ({}, {"without": ["curl", "python3"]}, 3, ["neither curl nor python3"]),
}


def stand_in(exit_code):
    """A program in place of the agent, which reports each start except with `--version`."""
    script = f'#!/bin/sh\ncase $1 in --version) exit 0 ;; esac\necho "$*" >> /root/started\nexit {exit_code}\n'
    return script.encode() + bytes(range(256)) * 60


def digest(content):
    return hashlib.sha256(content).hexdigest()


def configuration(boot="20s", proxy=PROXY):
    return (
        "azure:\n  subscription_id: 11111111-2222-3333-4444-555555555555\n  resource_group: edge-rg\n"
        f"  location: eastus\nwait: {{boot: {boot}}}\nproxy: {{url: {proxy}}}\n"
    )


def neighbours(plan):
    """The shell lines that start them on a machine."""
    begin = f"ip link set lo up\npython3 /neighbours.py 3128 {shlex.quote(json.dumps(plan))} &\n"
    return begin if plan.get("after") else f"{begin}until [ -e /listening ]; do /usr/bin/sleep 0.02; done\n"


def assert_timer_is_set_up(machine, name):
    """The script has enabled its timer once, and systemd accepts both units; returns the calls of systemctl."""
    begun = f"daemon-reload\n--quiet enable --now {name}.timer\n"
    assert machine.text("/systemctl") == begun, machine.text("/systemctl")
    verified = subprocess.run(
        ["systemd-analyze", "verify", f"--root={machine.root}", f"{name}.service", f"{name}.timer"],
        capture_output=True, text=True, check=False,
    )
    assert verified.returncode == 0 and name not in verified.stderr, verified.stderr
    return begun


def lines_of(text):
    """The JSON lines of the script in a log, each of the form that the agent's own have."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith('{"timestamp"')]
    for line in lines:
        assert list(line)[:6] == MEMBERS, f"members of {line}"
        assert TIMESTAMP.fullmatch(line["timestamp"]), line["timestamp"]
    return lines


def script_in(user_data):
    """The script that the user-data writes."""
    packed = user_data.decode().split(f"- path: {SCRIPT}\n")[1].split("content: ")[1].split("\n")[0]
    return gzip.decompress(base64.b64decode(packed)).decode()


class FetchChecks:
    """Checks of user-data that does not contain the binary."""

    def __init__(self, checks):
        self.checks, self.machines, self.scratch = checks, checks.machines, checks.scratch

    def made(self, binary, *options, url="http://mirror.example/arc-enroll?sig=canary", settings=None, include=None):
        """The user-data, and what was said about it."""
        options = ["--fetch-url", url, "--fetch-sha256", digest(binary), *options]
        code, user_data, error = self.checks.user_data(*options, configuration=settings or configuration(), include=include)
        assert code == 0, f"user-data exits with {code}: {error}"
        return user_data, error

    def script(self, *arguments, **more):
        """The script alone, out of the user-data's text."""
        return script_in(self.made(*arguments, **more)[0])

    def files(self, binary):
        certificate, _ = self.certificate()
        return [("neighbours.py", NEIGHBOURS), ("srv/arc-enroll", binary), ("srv/other", binary + b"\n"),
                ("srv/host.pem", certificate), ("usr/local/sbin/sleep", SLEEP)]

    def certificate(self):
        """A certificate of the host with its key, and the authority to trust for it."""
        path = self.scratch / "host.pem"
        if not path.exists():
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mirror.example",
                 "-addext", "subjectAltName=DNS:mirror.example", "-keyout", path.with_suffix(".key"), "-out", path.with_suffix(".crt")],
                check=True, capture_output=True,
            )
            path.write_bytes(path.with_suffix(".crt").read_bytes() + path.with_suffix(".key").read_bytes())
        return path.read_bytes(), path.with_suffix(".crt").read_bytes()

    def ran(self, script, plan, files, without=(), mount=None, trusted=False, environment=""):
        """Runs the script on a machine that is up already; gives the machine, the exit code and the lines."""
        machine = self.machines.fresh([*files, (SCRIPT.lstrip("/"), script.encode())])
        for name in without:
            for path in machine.path("/usr/bin").glob(f"{name}*"):
                path.unlink()
        commands = neighbours(plan) if "python3" not in without else ""
        if mount:
            commands += f"mount -t tmpfs -o {mount} tmpfs /usr/local/bin\n"
        if trusted:
            bundle = machine.path("/etc/ssl/certs/ca-certificates.crt")
            bundle.write_bytes(bundle.read_bytes() + self.certificate()[1])
        done = machine.run(["sh", "-c", f"{commands}{environment}sh {SCRIPT}"], text=True)
        return machine, done.returncode, lines_of(done.stdout), done.stdout + done.stderr

    # The script, fault by fault.

    def meets(self, name, without=()):
        """Checks that the fault occurs, is logged once, and ends the run properly."""
        plan, changes, exit_code, words = FAULTS[name]
        fault, changes = name.split(" ")[0], dict(changes)
        binary = stand_in(0)
        more = {"url": changes.pop("url")} if "url" in changes else {}
        script = self.script(binary, settings=configuration("1s" if exit_code in (75, 17) else "20s"), **more)
        changes["without"] = [*changes.get("without", []), *without]
        machine, code, lines, output = self.ran(script, plan, self.files(binary), **changes)
        last = lines[-1]
        ended = (code, last["exit_code"], last["fault"], last["event"], last["outcome"])
        outcome = "waiting" if exit_code == 75 else "failed"
        assert ended == (exit_code, exit_code, fault, "run.finished", outcome), f"{ended}: {output}"
        shown = f"{last['message']} {last['next']}"
        for word in [*words, f"sudo sh {SCRIPT}"]:
            assert word in shown, f"{word!r} is not in {output}"
        told = [line["message"] for line in lines if line["event"] == "fetch.failed"]
        assert len(told) == len(set(told)) <= 2, f"told again: {told}"
        assert "canary" not in output, output
        left = [path.name for path in machine.path("/usr/local/bin").glob("arc-enroll*")]
        assert not left and machine.read("/root/started") is None, f"left: {left}"

    def all_faults(self):
        for name in FAULTS:
            try:
                self.meets(name)
            except AssertionError as problem:
                raise AssertionError(f"{name}: {problem}") from problem

    def all_faults_without_curl(self):
        for name in FAULTS:
            if name in ("fetch.no-downloader", "fetch.refused on the way"):
                continue
            try:
                self.meets(name, without=["curl"])
            except AssertionError as problem:
                raise AssertionError(f"{name}: {problem}") from problem

    def good(self):
        """Fetched by curl and by python3, by http and https, past a proxy in the environment, with credentials."""
        binary = stand_in(0)
        secret = configuration(proxy="http://nexus:p%22%5Cw%24%27d@127.0.0.1:3128")
        keeps = {"credentials": "nexus:p\"\\w$'d"}
        direct = {"url": "http://127.0.0.1:3128/arc-enroll", "settings": configuration(proxy="null")}
        stray = "export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 no_proxy=mirror.example\n"
        https = {"url": HTTPS["url"], "settings": secret}
        tls = {**keeps, "certificate": "/srv/host.pem"}
        for without in ((), ("curl",)):
            for plan, made, trusted in (({}, {}, False), (keeps, {"settings": secret}, False), ({}, direct, False), (tls, https, True)):
                script = self.script(binary, **made)
                machine, code, lines, output = self.ran(
                    script, plan, self.files(binary), without=without, trusted=trusted, environment=stray
                )
                events = [line["event"] for line in lines]
                assert (code, events) == (0, ["fetch.started", "fetch.finished"]), f"{made}: {code}, {output}"
                assert machine.read(BINARY) == binary and machine.mode(BINARY) == "0755 0:0"
                assert machine.text("/root/started") == "enroll\n", machine.text("/root/started")
                assert "canary" not in output and "p%22" not in output and "$'d" not in output, output

    def secrets(self):
        """A curl that tells its arguments and environment shows neither the proxy's password nor the URL."""
        binary = stand_in(0)
        spy = b'#!/bin/sh\n{ echo "$@"; env; } >> /seen\nexec /usr/bin/curl "$@"\n'
        script = self.script(binary, settings=configuration(proxy="http://nexus:kanarienvogel@127.0.0.1:3128"))
        files = [*self.files(binary), ("usr/local/sbin/curl", spy)]
        machine = self.machines.fresh([*files, (SCRIPT.lstrip("/"), script.encode())])
        done = machine.run(["sh", "-c", f"{neighbours({'credentials': 'nexus:kanarienvogel'})}sh {SCRIPT}"], text=True)
        seen = machine.text("/seen")
        assert done.returncode == 0 and seen, done.stdout + done.stderr
        assert "kanarienvogel" not in seen + done.stdout and "canary" not in seen + done.stdout, seen

    def later(self):
        """Late neighbours, a mirror that is half updated, and a second run."""
        binary = stand_in(0)
        script = self.script(binary)
        plans = {
            "a late proxy": ({"after": 1}, "fetch.proxy"),
            "a half-updated mirror": ({"replies": ["/srv/other", "/srv/other", "/srv/arc-enroll"]}, "fetch.digest"),
            "a file put there late": ({"replies": [404, "/srv/arc-enroll"]}, "fetch.missing"),
        }
        for name, (plan, fault) in plans.items():
            _, code, lines, output = self.ran(script, plan, self.files(binary))
            told = [line["fault"] for line in lines if line["event"] == "fetch.failed"]
            assert (code, told) == (0, [fault]), f"{name}: {code}, {output}"
        files = [*self.files(binary), (BINARY.lstrip("/"), binary)]
        machine, code, lines, output = self.ran(script, {}, files)
        assert (code, lines, machine.read("/requests")) == (0, [], None), f"fetched again: {output}"
        files = [*self.files(binary), (BINARY.lstrip("/"), b"old"), (f"{BINARY.lstrip('/')}.fetched.7", b"half")]
        machine, code, _, output = self.ran(script, {}, files)
        left = sorted(path.name for path in machine.path("/usr/local/bin").glob("arc-enroll*"))
        assert (code, left, machine.read(BINARY)) == (0, ["arc-enroll"], binary), f"{left}: {output}"

    def timer(self):
        """With systemd, a timer retries after a failure, and is removed after a success."""
        binary, unit = stand_in(0), "/etc/systemd/system/arc-enroll-fetch"
        script = self.script(binary, settings=configuration("1s"))
        systemctl = b'#!/bin/sh\necho "$*" >> /systemctl\n'
        files = [*self.files(binary), (SCRIPT.lstrip("/"), script.encode()), ("usr/local/sbin/systemctl", systemctl)]
        machine = self.machines.fresh(files)
        machine.path("/run/systemd/system").mkdir(parents=True)
        plan = neighbours({"replies": [403] * 50})
        failed = machine.run(["sh", "-c", f"{plan}sh {SCRIPT}"], text=True)
        last = lines_of(failed.stdout)[-1]
        assert failed.returncode == 17 and "arc-enroll-fetch.timer tries again" in last["next"], failed.stdout
        begun = assert_timer_is_set_up(machine, "arc-enroll-fetch")
        assert "OnActiveSec=61\n" in machine.text(f"{unit}.timer"), machine.text(f"{unit}.timer")
        started = [line for line in machine.text(f"{unit}.service").splitlines() if line.startswith("ExecStart=")]
        command = started[0].removeprefix("ExecStart=")
        done = machine.run(["sh", "-c", f"rm -f /listening\n{neighbours({})}{command}"], text=True)
        log = machine.text("/var/log/cloud-init-output.log")
        assert done.returncode == 0 and not done.stdout, f"{done.stdout}{done.stderr}{log}"
        assert lines_of(log)[-1]["event"] == "fetch.finished" and machine.read(BINARY) == binary, log
        ended = "--quiet disable --now arc-enroll-fetch.timer\ndaemon-reload\n"
        assert machine.text("/systemctl") == begun + ended, machine.text("/systemctl")
        assert machine.read(f"{unit}.timer") is None and machine.read(f"{unit}.service") is None

    # Whole boots.

    def boots(self):
        binary = stand_in(0)
        user_data, error = self.made(binary)
        assert "'domainName':'mirror.example','port':80" in error and "az networkcloud virtualmachine create" in error, error
        self.checks.assert_valid(user_data)
        script = "#!/bin/sh\necho their script\nexit 4\n"
        for options, include in (((), None), (("--gzip",), None), ((), script)):
            user_data, _ = self.made(binary, *options, include=include)
            machine = self.machines.boot(user_data, self.files(binary), neighbours({}))
            self.checks.assert_installed(machine, binary)
            assert machine.text("/root/started") == "enroll\n" and machine.mode(SCRIPT) == "0700 0:0"
            events = [line["event"] for line in lines_of(machine.text("/var/log/cloud-init-output.log"))]
            assert events == ["fetch.started", "fetch.finished"], events
            word, errors = machine.status()
            expected = ("status: error", "1 failures (part-001)") if include else ("status: done", "")
            assert word == expected[0] and expected[1] in errors, f"{word}: {errors}"

    def boots_fail(self):
        binary = stand_in(0)
        theirs = "#cloud-config\nruncmd: ['true']\n"
        for reply, fault, include, where in (
            ("/srv/other", "fetch.digest", None, "runcmd"), (403, "fetch.refused", theirs, "zz-arc-enroll"),
        ):
            user_data, _ = self.made(binary, include=include, settings=configuration("1s"))
            machine = self.machines.boot(user_data, self.files(binary), neighbours({"replies": [reply]}))
            last = lines_of(machine.text("/var/log/cloud-init-output.log"))[-1]
            assert (last["event"], last["fault"], last["exit_code"]) == ("run.finished", fault, 17), last
            word, errors = machine.status()
            assert word == "status: error" and f"failures ({where})" in errors, f"{word}: {errors}"
            assert machine.read(BINARY) is None

    def itself(self):
        """The agent's binary, with the digest from its user-data; it starts, and fails because there is no Azure."""
        binary = Path(self.checks.vm_agent).read_bytes()
        code, user_data, error = self.checks.user_data("--fetch-url", "http://mirror.example/x", configuration=configuration("3s"))
        assert code == 0 and digest(binary) in script_in(user_data), error
        machine = self.machines.boot(user_data, self.files(binary), neighbours({}))
        assert machine.read(BINARY) == binary
        lines = lines_of(machine.text("/var/log/cloud-init-output.log"))
        assert lines[1]["event"] == "fetch.finished" and lines[-1]["event"] == "run.finished", lines
        assert lines[-1]["run_id"] != lines[1]["run_id"] and machine.status()[0] == "status: error"

    def without_binary(self):
        def booted(*options, include=None, files=()):
            code, user_data, error = self.checks.user_data("--without-binary", *options, include=include, configuration=configuration())
            assert code == 0 and len(user_data) < 8000, f"{code}: {len(user_data)} bytes, {error}"
            return self.machines.boot(user_data, files), user_data

        for options, include, place, exit_code in (
            ((), None, BINARY, 0), (("--gzip",), None, PACKAGED, 17), ((), "#!/bin/sh\nexit 0\n", PACKAGED, 0),
        ):
            machine, user_data = booted(*options, include=include)
            if not options and not include:
                self.checks.assert_valid(user_data)
            last = lines_of(machine.text("/var/log/cloud-init-output.log"))[-1]
            assert (last["fault"], last["exit_code"], last["outcome"]) == ("binary.absent", 3, "failed"), last
            assert "install the package arc-enroll" in last["next"], last
            assert machine.status()[0] == "status: error"
            machine, _ = booted(*options, include=include, files=[(place.lstrip("/"), stand_in(exit_code))])
            assert machine.text("/root/started") == "enroll\n", place
            assert machine.text("/etc/arc-enroll/config.yaml") == configuration()
            assert machine.status()[0] == ("status: error" if exit_code else "status: done")

    def refuses(self):
        for options, word in (
            (["--fetch-url", "http://mirror/a b"], "percent-encoded"),
            (["--fetch-url", "mirror/a"], "must begin with https:// or http://"),
            (["--fetch-url", "http://mirror/a", "--fetch-sha256", "0"], "64 hexadecimal digits"),
            (["--fetch-url", "http://mirror/a", "--without-binary"], "exclude each other"),
            (["--fetch-sha256", "0" * 64], "give that too"),
        ):
            code, output, error = self.checks.user_data(*options)
            assert code == 2 and not output and word in error, f"{options}: {code}, {error}"

    def lint(self):
        """The scripts as they are filled in."""
        filled = self.scratch / "fetch.sh"
        filled.write_text(self.script(stand_in(0)))
        done = subprocess.run(
            ["shellcheck", "--shell=sh", filled, TEMPLATE.with_name("start.sh"), "cloud-init/script.sh"],
            capture_output=True, text=True, check=False,
        )
        assert done.returncode == 0, done.stdout

    def documented(self):
        """The README's table of faults is that of the scripts."""
        used = set(re.findall(r"(?:met|not_[a-z]+) (fetch\.[a-z-]+)\b", TEMPLATE.read_text()))
        assert used == {name.split(" ")[0] for name in FAULTS} | {"fetch.interrupted"}, used
        table = dict(re.findall(r"^\| `((?:fetch|binary)\.[a-z-]+)` \| (\d+) \|", Path("cloud-init/README.md").read_text(), re.MULTILINE))
        codes = {name.split(" ")[0]: str(told[2]) for name, told in FAULTS.items()}
        assert table == {**codes, "fetch.interrupted": "75", "binary.absent": "3", "binary.unpack": "3"}, table

    def all(self):
        return {
            "user-data --fetch-url boots": self.boots,
            "user-data --fetch-url reports a failed fetch": self.boots_fail,
            "user-data --fetch-url fetches the agent itself": self.itself,
            "user-data --without-binary": self.without_binary,
            "user-data refuses what cannot be fetched": self.refuses,
            "fetch script: every fault": self.all_faults,
            "fetch script: every fault, without curl": self.all_faults_without_curl,
            "fetch script: good": self.good,
            "fetch script: secrets": self.secrets,
            "fetch script: late, and again": self.later,
            "fetch script: a timer after a failure": self.timer,
            "scripts pass shellcheck": self.lint,
            "table of the scripts' faults": self.documented,
        }
