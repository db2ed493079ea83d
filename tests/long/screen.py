"""Runs a program in a terminal of a given width, and shows what its screen has at the end: as text, HTML and SVG."""
import fcntl, html, os, pty, re, select, signal, struct, termios, time

COLOURS = {31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79b8ff", 35: "#d2a8ff", 36: "#76e3ea", 90: "#9da7b3",
           91: "#ff7b72", 92: "#7ee787", 93: "#e3b341", 94: "#79b8ff", 95: "#d2a8ff", 96: "#76e3ea"}
PLAIN = (None, False, False)


def run(command, columns, interrupt_after=None, **options):
    """Exit code and the bytes that the program wrote to its terminal. `interrupt_after` sends SIGINT after so many seconds."""
    env = {k: v for k, v in os.environ.items() if k not in ("CI", "GITHUB_ACTIONS", "NO_COLOR", "TP_RUNS_DIR")}
    env.update(TERM="xterm-256color", COLUMNS=str(columns), LINES="50")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(options["cwd"])
        os.execve(command[0], command, env)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    written, begun = b"", time.time()
    while True:
        ready, _, _ = select.select([terminal], [], [], 0.1)
        if ready:
            try:
                part = os.read(terminal, 1 << 16)
            except OSError:
                break
            if not part:
                break
            written += part
        if interrupt_after and time.time() - begun > interrupt_after:
            os.kill(pid, signal.SIGINT)
            interrupt_after = None
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), written


class Screen:
    """Lines of cells, each a character with colour, bold and dim. Nothing scrolls off."""

    def __init__(self, written, columns):
        self.lines, self.row, self.column, self.columns, self.style = [[]], 0, 0, columns, PLAIN
        text = written.decode(errors="replace")
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b.|[^\x1b]", text, re.S):
            self.put(part)
        while self.lines and not any(cell[0].strip() for cell in self.lines[-1]):
            self.lines.pop()

    def put(self, part):
        if part.startswith("\x1b["):
            numbers = [int(n) for n in re.findall(r"\d+", part)]
            first = numbers[0] if numbers else 1
            match part[-1]:
                case "A": self.row = max(0, self.row - first)
                case "B": self.go_to(self.row + first)
                case "C": self.column += first
                case "D": self.column = max(0, self.column - first)
                case "G": self.column = first - 1
                case "K":
                    line = self.lines[self.row]
                    del line[0 if numbers == [2] else self.column:]
                case "J": del self.lines[self.row][self.column:], self.lines[self.row + 1:]
                case "m": self.set_style(numbers or [0])
        elif part == "\r":
            self.column = 0
        elif part == "\n":
            self.go_to(self.row + 1)
        elif part >= " ":
            if self.column >= self.columns:
                self.go_to(self.row + 1)
                self.column = 0
            line = self.lines[self.row]
            line.extend([(" ", PLAIN)] * (self.column + 1 - len(line)))
            line[self.column] = (part, self.style)
            self.column += 1

    def go_to(self, row):
        self.row = row
        self.lines.extend([] for _ in range(row + 1 - len(self.lines)))

    def set_style(self, numbers):
        colour, bold, dim = self.style
        if numbers[:2] in ([38, 5], [48, 5]):
            # one of the first 16 of 256 colours; the background stays
            n = numbers[2] if len(numbers) > 2 and numbers[0] == 38 else 0
            numbers = [30 + n if n < 8 else 82 + n]
        for n in numbers:
            if n == 0: colour, bold, dim = PLAIN
            elif n == 1: bold = True
            elif n == 2: dim = True
            elif n == 22: bold = dim = False
            elif n == 39: colour = None
            elif n in COLOURS: colour = COLOURS[n]
        self.style = (colour, bold, dim)

    def text(self):
        return "\n".join("".join(c for c, _ in line).rstrip() for line in self.lines) + "\n"

    def pieces(self, line):
        """Texts of one style."""
        pieces = []
        for character, style in line:
            if pieces and pieces[-1][1] == style:
                pieces[-1][0] += character
            else:
                pieces.append([character, style])
        return pieces

    def html(self, title):
        def piece(text, style):
            colour, bold, dim = style
            css = (f"color:{colour};" if colour else "") + ("font-weight:bold;" if bold else "") + ("opacity:.75;" if dim else "")
            return f'<span style="{css}">{html.escape(text)}</span>' if css else html.escape(text)
        lines = "\n".join("".join(piece(*p) for p in self.pieces(line)) for line in self.lines)
        return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
                f'<body style="margin:0;background:#0d1117;color:#e6edf3"><pre style="margin:1rem;font:14px/1.4 monospace">{lines}</pre>\n')

    def svg(self, title, first_line):
        """A picture with a command line above the screen."""
        width, height, x, y = 8.4, 19, 16, 44
        out = []
        for i, line in enumerate([[(c, (None, True, False)) for c in first_line], *self.lines]):
            column = 0
            for text, (colour, bold, dim) in self.pieces(line):
                if text.strip():
                    weight = ' font-weight="bold"' if bold else ""
                    out.append(f'<text x="{x + column * width:.1f}" y="{y + i * height}" fill="{colour or ("#9da7b3" if dim else "#e6edf3")}"{weight} '
                               f'textLength="{len(text) * width:.1f}" xml:space="preserve">{html.escape(text)}</text>')
                column += len(text)
        w, h = x * 2 + self.columns * width, y + (len(self.lines) + 1) * height
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" height="{h:.0f}" role="img">'
                f'<title>{html.escape(title)}</title><rect width="100%" height="100%" rx="8" fill="#0d1117"/>'
                '<circle cx="18" cy="16" r="5" fill="#ff7b72"/><circle cx="36" cy="16" r="5" fill="#e3b341"/><circle cx="54" cy="16" r="5" fill="#7ee787"/>'
                f'<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">{"".join(out)}</g></svg>\n')
