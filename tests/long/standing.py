"""A sandbox in a process of its own, runs of TP-004 on it, and an inventory of what they left. For the suites of this folder."""
import glob, json, os, random, re, shutil, signal, subprocess, sys, tempfile, time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
TABLES = {"sessions": "template_name", "connections": "session_id", "webhooks": "name"}
KINDS = ["sessions", "templates", "deployments", "services", "pods"]
REPORT = "tests/reports/integration-test-report.md"
MAX_SECONDS = 180


def binary():
    """The binary under test: `BIN`, or the release build."""
    if "BIN" not in os.environ:
        subprocess.run(["cargo", "build", "--locked", "--release"], cwd=ROOT, check=True)
    return os.path.realpath(os.environ.get("BIN", os.path.join(ROOT, "target/release/tp-runner")))


def is_debug(path):
    """Whether the binary has the assertions of a debug build, by its size."""
    return os.path.getsize(path) > 100 << 20


def seeded():
    seed = int(os.environ.get("SEED", time.time()))
    random.seed(seed)
    return seed


def write_json(**figures):
    """Adds a line to the file `JSON`, for tests/long/reliability."""
    if "JSON" in os.environ:
        with open(os.environ["JSON"], "a") as file:
            file.write(json.dumps(figures) + "\n")


class Failed(Exception):
    pass


def expect(is_right, text):
    if not is_right:
        raise Failed(text)


def peak_mib(pid):
    """The peak memory of a process, 0 after its end."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return max((int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")), default=0)
    except OSError:
        return 0


def measured(process, wait=MAX_SECONDS):
    """Waits for the end of a process. Returns its seconds and its peak memory in MiB, asked every 5 ms."""
    started, peak = time.time(), 0
    while not has_ended(process):
        peak = max(peak, peak_mib(process.pid))
        if time.time() - started > wait:
            process.kill()
        time.sleep(0.005)
    return round(time.time() - started, 1), round(peak)


def has_ended(process):
    return isinstance(process.poll(), int)


def end(process, wait=30):
    """Waits until the process ends. Kills it after `wait` seconds, and returns whether it ended before."""
    try:
        process.wait(wait)
        return True
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


class Standing:
    """Use it in `with`: the sandbox stops, and the folder is removed unless the suite failed."""

    def __init__(self):
        # a shell in the background ignores SIGINT, `nohup` SIGHUP, and so would every run
        for name in (signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(name) == signal.SIG_IGN:
                signal.signal(name, signal.SIG_DFL)
        self.bin = binary()
        self.folder = tempfile.mkdtemp(prefix="standing-")
        self.tmp = os.path.join(self.folder, "tmp")
        os.mkdir(self.tmp)
        self.database, self.cluster = os.environ.get("DATABASE"), os.environ.get("KUBECONFIG")
        parts = ["--database", self.database] if self.database else []
        parts += ["--kubeconfig", os.path.realpath(self.cluster)] if self.cluster else []
        self.env = {k: v for k, v in os.environ.items() if k not in ("KUBECONFIG", "TP_RUNS_DIR")}
        with open(self.path("sandbox.out"), "w") as out:
            self.sandbox = subprocess.Popen([self.bin, "sandbox", "--env-file", "standing.yaml", *parts], cwd=self.folder,
                                            env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        until = time.time() + 60
        while "\nCtrl-C" not in self.read("sandbox.out"):
            if has_ended(self.sandbox) or time.time() > until:
                self.sandbox.kill()
                sys.exit(f"error: the sandbox did not start: {self.read('sandbox.out')}")
            time.sleep(0.1)
        self.at = dict(re.findall(r"^(\w+): +(\S.*)$", self.read("sandbox.out"), re.M))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        self.sandbox.send_signal(signal.SIGINT)
        end(self.sandbox)
        if not kind:
            shutil.rmtree(self.folder)
            return False
        print(f"the journals are in {self.folder}/.tp-runner/runs", file=sys.stderr)
        if kind is Failed:
            sys.exit(f"error: {error}")
        return False

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        try:
            with open(self.path(name), errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def start(self, args, output, **options):
        """Starts the binary with its output in that file."""
        options = {"cwd": self.folder, "env": {**self.env, "TMPDIR": self.tmp}, **options}
        with open(self.path(output), "w") as out:
            return subprocess.Popen([self.bin, *args], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **options)

    def call(self, *args):
        """Exit code and output of the binary."""
        process = self.start(args, "call.out")
        expect(end(process, MAX_SECONDS), f"`{' '.join(args)}` did not end in {MAX_SECONDS} s")
        return process.returncode, self.read("call.out")

    def start_run(self, *more, output="run.out", **options):
        """A run of TP-004, in its own session."""
        args = ["--quiet", "run", "TP-004", "--config", self.path("standing.yaml"), *more]
        return self.start(args, output, start_new_session=True, **options)

    def runs(self, folder=None):
        return {os.path.basename(os.path.dirname(lock)) for lock in glob.glob(f"{folder or self.folder}/.tp-runner/runs/*/lock")}

    def sql(self, query):
        if self.database:
            command = ["psql", "-X", "-q", "-A", "-t", "-c", query, self.database]
        else:
            command = ["sqlite3", "-cmd", ".timeout 5000", self.at["database"], query]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def inventory(self, run):
        """How many rows of each table and objects of each kind have the id of the run in their name."""
        left = {f"rows of {table}": int(self.sql(f"select count(*) from {table} where {column} like '%{run}%'"))
                for table, column in TABLES.items()}
        kubectl = ["kubectl", "--kubeconfig", self.at["kubeconfig"], "-n", "streamspace", "get", ",".join(KINDS), "-o", "name"]
        names = subprocess.run(kubectl, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        for kind in KINDS:
            left[kind] = sum(run in name and name.split("/")[0].split(".")[0].rstrip("s") == kind.rstrip("s") for name in names)
        return left

    def open_undos(self):
        """What `cleanup --dry-run` lists."""
        code, out = self.call("cleanup", "--dry-run")
        expect(code in (0, 1), f"`cleanup --dry-run` ended with {code}: {out}")
        return [line.strip() for line in out.splitlines() if line.startswith("  ")]

    def clean_up(self, run):
        """Cleans up, and checks that nothing is left and that the run can be reported."""
        code, out = self.call("cleanup")
        expect(code == 0, f"run {run}: `cleanup` ended with {code}: {out}")
        self.is_clean(run)

    def is_clean(self, run):
        left = {what: n for what, n in self.inventory(run).items() if n}
        expect(not left, f"run {run}: left after it was cleaned up: {left}")
        code, out = self.call("cleanup")
        expect((code, out.strip()) == (0, "nothing to clean up"), f"run {run}: a second `cleanup` ended with {code}: {out}")
        code, out = self.call("report", run)
        expect(code == 0 and run in out, f"run {run}: `report` ended with {code}: {out[:400]}")
        code, out = self.call("doctor", "TP-004", "--config", "standing.yaml")
        expect(code == 0, f"run {run}: the platform is not whole: {out}")


def three(numbers):
    """Smallest, median and largest."""
    numbers = sorted(numbers)
    return [numbers[0], numbers[len(numbers) // 2], numbers[-1]] if numbers else []
