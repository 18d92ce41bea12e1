#!/usr/bin/env python3
"""The command's contract, as far as it needs no kernel: bad input, exit statuses, documents.

    cli_test.py <hawser> [<unittest argument>...]
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

HAWSER = ""
NOBODY = 65534
TARGET = "iqn.2004-10.org.example:volume"
WORDS = ["--target", TARGET, "--portal", "127.0.0.1:9", "--lun", "1"]
SPEC = {"target_portal": "127.0.0.1:9", "target_iqn": TARGET, "target_lun": 1}
ERROR_KEYS = ["code", "stage", "message", "portal", "target", "lun", "errno", "iscsi_status",
              "retryable", "data_at_risk", "paths"]


def run(*words, stdin=b"", prefix=(), command=None):
    return subprocess.run([*prefix, command or HAWSER, *words], input=stdin, capture_output=True,
                          timeout=60, check=False)


def as_nobody(directory):
    """How to run the command as nobody: a copy of it, since a build may lie below somebody's home."""
    build = pathlib.Path(HAWSER).parents[2]
    for file in (HAWSER, *(build / "lib").glob("libhawser.so.?")):
        shutil.copy(file, directory)
    directory.chmod(0o711)
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
            "env", f"LD_LIBRARY_PATH={directory}"], str(directory / "hawser")


class Case(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.work)
        self.state = self.work / "state"

    def file(self, name, text, mode=0o600):
        path = self.work / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return str(path)

    def check_refused(self, words, named, status=64, stdin=b"", **how):
        """`words` end with `status` and name `named`, in text and in JSON."""
        with self.subTest(" ".join(words)):
            done = run(*words, stdin=stdin, **how)
            self.assertEqual(done.returncode, status, done)
            self.assertEqual(done.stdout, b"")
            self.assertIn(named, done.stderr.decode())

            done = run(*words, "--json", stdin=stdin, **how)
            self.assertEqual(done.returncode, status, done)
            self.assertEqual(done.stderr, b"")
            error = json.loads(done.stdout)["error"]
            self.assertEqual(list(error)[:len(ERROR_KEYS)], ERROR_KEYS)
            self.assertIn(named, error["message"])
            return error


class Usage(Case):
    def test_wrong_words_are_named(self):
        for words, named in [
            ([], "command"),
            (["frobnicate"], "frobnicate"),
            (["resize"], "ID"),
            (["resize", "../passwd"], "../passwd"),
            (["resize", "x", "--force"], "--force"),
            (["resize", "x", "--target", TARGET], "ID"),
            (["show", "x", "--chap-file", "/x"], "--chap-file"),
            (["show", "x", "--allow-shrink"], "--allow-shrink"),
            (["show", "x", "--join", "--login-timeout", "0"], "--login-timeout"),
            (["list", "--frobnicate"], "--frobnicate"),
            (["list", "extra"], "extra"),
            (["list", "--force"], "--force"),
            (["show"], "ID"),
            (["show", "../passwd"], "../passwd"),
            (["detach"], "ID"),
            (["detach", "x", "--target", TARGET], "ID"),
            (["detach", "x", "--chap-file", "/x"], "--chap-file"),
            (["discover"], "--portal"),
            (["discover", "--portal", "::1"], "--portal"),
            (["list", "--timeout"], "--timeout"),
            (["list", "--timeout", "soon"], "--timeout"),
            (["list", "--timeout", "-1"], "--timeout"),
            (["list", "--timeout", "nan"], "--timeout"),
            (["list", "--timeout", "1e99"], "--timeout"),
            (["list", "--engine", "kernel"], "not in this release"),
            (["list", "--engine", "steam"], "--engine"),
            (["list", "--log-level", "loud"], "--log-level"),
            (["list", "--state-dir", ""], "--state-dir"),
            (["attach", *WORDS, "--multipath", "maybe"], "--multipath"),
            (["attach", *WORDS, "--min-paths", "0"], "--min-paths"),
            (["attach", *WORDS, "--min-paths", "010x"], "--min-paths"),
            (["attach", *WORDS, "--grace", "inf"], "--grace"),
            (["attach", *WORDS, "--login-timeout", "1.5"], "--login-timeout"),
        ]:
            error = self.check_refused(words, named)
            self.assertEqual((error["code"], error["stage"]), ("invalid_argument", "input"))

    def test_help_and_version_go_to_stdout(self):
        for words in (["--help"], ["attach", "--help"], ["--version"]):
            done = run(*words)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertNotEqual(done.stdout, b"")


class Specification(Case):
    def test_wrong_words_are_named(self):
        portal = ["--portal", "127.0.0.1:9"]
        for words, named in [
            ([], "--target"),
            (["--target", TARGET, "--lun", "1"], "--portal"),
            (["--target", TARGET, *portal], "--lun"),
            (["--lun", "1", *portal], "--target"),
            (["--target", "volume", "--lun", "1", *portal], "target_iqn"),
            (["--target", TARGET, "--lun", "16384", *portal], "--lun"),
            (["--target", TARGET, "--lun", "65536", *portal], "--lun"),
            (["--target", TARGET, "--lun", "0x1", *portal], "--lun"),
            (["--target", TARGET, "--lun", "1", "--portal", "fe80::1:3260"], "--portal"),
            (["--target", TARGET, "--lun", "1", "--portal", "10.0.0.1:70000"], "--portal"),
            ([*WORDS, "--portal", "127.0.0.2:9", "--min-paths", "3"], "min_paths"),
            ([*WORDS, "--discovery", "off", "--min-paths", "2"], "min_paths"),
            ([*WORDS, "--discovery", "maybe"], "--discovery"),
            ([*WORDS, "--iface", "a/b"], "iface"),
            ([*WORDS, "--spec", "-", "--iface", "default"], "--spec"),
            ([*WORDS, "--spec", "-"], "--spec"),
        ]:
            self.check_refused(["attach", *words], named)

    def test_wrong_documents_are_refused_and_the_key_named(self):
        two = {"target_portals": ["127.0.0.1:9", "127.0.0.2:9"], "target_iqns": [TARGET, TARGET],
               "target_luns": [1, 1]}
        for document, named in [
            ("", "JSON"),
            ("{", "JSON"),
            ("[]", "object"),
            ({**SPEC, "target_lun": "one"}, "target_lun"),
            ({**SPEC, "target_lun": 16384}, "target_lun"),
            ({**SPEC, "target_lun": -1}, "target_lun"),
            ({**SPEC, "target_portal": 7}, "target_portal"),
            ({**SPEC, "target_portal": "fe80::1:3260"}, "target_portal"),
            ({k: v for k, v in SPEC.items() if k != "target_iqn"}, "target_iqn"),
            ({**two, "target_luns": [1]}, "target_luns"),
            ({**two, "target_iqns": [TARGET]}, "target_iqns"),
            ({"driver_volume_type": "rbd", "data": SPEC}, "driver_volume_type"),
            ({**SPEC, "auth_method": "CHAP", "auth_username": "u"}, "auth_password"),
        ]:
            text = document if isinstance(document, str) else json.dumps(document)
            self.check_refused(["attach", "--spec", "-"], named, stdin=text.encode())
            self.check_refused(["attach", "--spec", self.file("spec", text)], named)

    def test_a_document_over_1_mib_is_refused_and_one_of_1_mib_is_read(self):
        text = json.dumps({**SPEC, "target_lun": 16384})
        full = text.ljust(1 << 20).encode()
        self.check_refused(["attach", "--spec", "-"], "target_lun", stdin=full)
        self.check_refused(["attach", "--spec", "-"], "1048576", stdin=full + b" ")

    def test_a_file_that_is_not_there_is_named(self):
        self.check_refused(["attach", "--spec", "/nowhere/spec"], "/nowhere/spec")
        self.check_refused(["attach", "--spec", str(self.work)], str(self.work))

    def test_a_stdin_that_never_ends_meets_the_deadline(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        done = subprocess.run([HAWSER, "attach", "--spec", "-", "--timeout", "0.05", "--json"],
                              stdin=reader, capture_output=True, timeout=60, check=False)
        os.close(reader)
        self.assertEqual(done.returncode, 4, done)
        self.assertEqual(json.loads(done.stdout)["error"]["code"], "deadline_exceeded")

    def test_a_chap_file_is_checked_and_its_secret_never_shown(self):
        good = "username = u\npassword = hunter2-hunter2\n"
        for text, mode, named in [
            (good, 0o640, "chmod 600"),
            (good, 0o604, "chmod 600"),
            (good + "hunter2-hunter2\n", 0o600, "line 3"),
            (good + "secret = hunter2\n", 0o600, "line 3"),
            (good + good, 0o600, "username"),
            ("password = hunter2\n", 0o600, "username"),
            (good + "username_in = t\n", 0o600, "password_in"),
            ("#" * 5000, 0o600, "4096"),
        ]:
            path = self.file("chap", text, mode)
            for command in (["attach", *WORDS], ["discover", "--portal", "127.0.0.1:9"]):
                error = self.check_refused([*command, "--chap-file", path], named)
                self.assertNotIn("hunter2", json.dumps(error))


class StateDirectory(Case):
    def test_an_unsafe_one_is_refused(self):
        self.state.mkdir(0o700)
        link = self.work / "link"
        link.symlink_to(self.state)
        error = self.check_refused(["list", "--state-dir", str(link)], str(link), status=77)
        self.assertEqual(error["code"], "permission_denied")
        for mode in (0o770, 0o707):
            self.state.chmod(mode)
            self.check_refused(["list", "--state-dir", str(self.state)], str(self.state),
                               status=77)

    def test_one_that_is_not_there_is_made_for_us_alone(self):
        done = run("list", "--state-dir", str(self.state))
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(self.state.stat().st_mode & 0o7777, 0o700)

    def test_who_is_not_root_is_told_so(self):
        prefix, command = as_nobody(self.work)
        self.state.mkdir(0o700)
        error = self.check_refused(["list", "--state-dir", str(self.state)], str(self.state),
                                   status=77, prefix=prefix, command=command)
        self.assertIn("not as root", error["message"])
        os.chown(self.state, NOBODY, NOBODY)
        error = self.check_refused(["attach", *WORDS, "--state-dir", str(self.state)], "root",
                                   status=77, prefix=prefix, command=command)
        self.assertEqual(error["code"], "permission_denied")

    def test_what_the_caller_may_not_do_is_never_ignored(self):
        prefix, command = as_nobody(self.work)
        self.state.mkdir(0o700)
        log = self.state / "5b1f0c5a9e6d2c47.log"
        log.touch(0o600)
        os.chown(self.state, NOBODY, NOBODY)
        self.check_refused(["detach", "--ignore-errors", log.stem, "--state-dir", str(self.state)],
                           "root", status=77, prefix=prefix, command=command)


class NothingAttached(Case):
    def command(self, *words):
        done = run(*words, "--state-dir", str(self.state))
        self.assertEqual(done.stderr, b"")
        return done.returncode, done.stdout.decode()

    def test_list_prints_an_empty_array(self):
        self.assertEqual(self.command("list", "--json"), (0, "[]\n"))
        self.assertEqual(self.command("--json", "list"), (0, "[]\n"))

    def test_a_log_that_is_not_safe_hides_no_other(self):
        self.state.mkdir(0o700)
        for name, mode in (("0123456789abcdef.log", 0o660), ("fedcba9876543210.log", 0o600)):
            (self.state / name).touch()
            (self.state / name).chmod(mode)
        status, text = self.command("list", "--json")
        self.assertEqual(status, 0)
        self.assertEqual([(one["id"], one["status"]) for one in json.loads(text)],
                         [("0123456789abcdef", "unreadable")])

    def test_an_unknown_id_is_an_error_of_show_and_log(self):
        for command in ("show", "log"):
            error = self.check_refused([command, "0123456789abcdef", "--state-dir",
                                        str(self.state)], "0123456789abcdef", status=1)
            self.assertEqual(error["code"], "not_found")

    def test_detaching_what_is_not_there_succeeds_and_says_so(self):
        status, text = self.command("detach", "0123456789abcdef")
        self.assertEqual(status, 0)
        self.assertIn("was not attached", text)
        status, text = self.command("detach", "--json", *WORDS)
        report = json.loads(text)
        self.assertEqual(status, 0)
        self.assertEqual(list(report)[:6],
                         ["id", "detached", "flushed", "leftovers", "warnings", "elapsed_ms"])
        self.assertRegex(report["id"], "^[0-9a-f]{16}$")
        self.assertEqual(report["warnings"], ["was not attached"])

    def test_words_and_a_document_give_the_same_id(self):
        path = self.file("spec", json.dumps({"driver_volume_type": "iscsi", "data": SPEC}))
        ids = {json.loads(self.command("detach", "--json", *words)[1])["id"]
               for words in (WORDS, ["--spec", path])}
        self.assertEqual(len(ids), 1)

    def test_recover_has_nothing_to_do(self):
        self.assertEqual(self.command("recover", "--json"),
                         (0, '{"undone":[],"completed":[],"kept":[],"failed":[]}\n'))

    def test_an_answer_that_nobody_takes_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([HAWSER, "list", "--state-dir", str(self.state)], stdout=full,
                                  stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"stdout", done.stderr)


class Stopping(Case):
    """With an iscsid that takes connections and never answers, in a network of its own."""

    def ask(self, how):
        done = subprocess.run(["unshare", "--net", sys.executable, __file__, HAWSER, "--silent-iscsid", how,
                               str(self.state)], capture_output=True, timeout=60, check=False)
        self.assertEqual(done.stderr.decode().replace("hawser: stopping; the next signal kills\n",
                                                      ""), "")
        return json.loads(done.stdout)

    def test_a_signal_stops_the_work(self):
        for how in ("SIGINT", "SIGTERM"):
            answer = self.ask(how)
            self.assertEqual((answer["status"], answer["error"]["code"]), (4, "cancelled"))

    def test_the_deadline_ends_the_work(self):
        answer = self.ask("deadline")
        self.assertEqual((answer["status"], answer["error"]["code"]), (4, "deadline_exceeded"))


def silent_iscsid(how, state):
    with socket.socket(socket.AF_UNIX) as iscsid:
        iscsid.bind("\0ISCSIADM_ABSTRACT_NAMESPACE")
        iscsid.listen()
        seconds = "0.2" if how == "deadline" else "50"
        with subprocess.Popen([HAWSER, "discover", "--json", "--portal", "127.0.0.1:9",
                               "--timeout", seconds, "--state-dir", state],
                              stdout=subprocess.PIPE) as command:
            connection, _ = iscsid.accept()
            if how != "deadline":
                command.send_signal(getattr(signal, how))
            text, _ = command.communicate(timeout=50)
            connection.close()
    print(json.dumps({"status": command.returncode, **json.loads(text)}))


if __name__ == "__main__":
    HAWSER = os.path.abspath(sys.argv[1])
    if sys.argv[2:3] == ["--silent-iscsid"]:
        silent_iscsid(*sys.argv[3:])
    else:
        unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
