"""A conversation with pyright's language server, as an editor has it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

from checkers import environment

#: Seconds after which the server is taken for dead; on a quiet machine it needs about five.
PATIENCE = 300.0


class Editor:
    """Asks the server about places in files, each found by its text."""

    def __init__(self, folder: Path, server: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.server = server
        self.asked = 0

    def hover(self, file: Path, place: str) -> str:
        """What is shown over the first word of `place`."""
        shown = self.ask("textDocument/hover", self.at(file, place))
        text: str = shown["contents"]["value"]
        return text

    def definition(self, file: Path, place: str) -> tuple[str, str]:
        """The file that defines the first word of `place`, and the line to which one is led."""
        (found,) = self.ask("textDocument/definition", self.at(file, place))
        there = Path(found["uri"].removeprefix("file://"))
        line = there.read_text(encoding="utf-8").splitlines()[found["range"]["start"]["line"]]
        return there.as_posix().partition("site-packages/")[2], line.strip()

    def at(self, file: Path, place: str) -> dict[str, Any]:
        """The place as the protocol wants it; the file is opened."""
        text = file.read_text(encoding="utf-8")
        document = {"uri": file.as_uri(), "languageId": "python", "version": 1, "text": text}
        self.send(method="textDocument/didOpen", params={"textDocument": document})
        before = text[: text.index(place)].split("\n")
        position = {"line": len(before) - 1, "character": len(before[-1])}
        return {"textDocument": {"uri": file.as_uri()}, "position": position}

    def start(self) -> None:
        """Tell the server the folder; its settings are those of the folder, and of no editor."""
        folders = [{"uri": self.folder.as_uri(), "name": "user"}]
        able = {"workspace": {"configuration": True, "workspaceFolders": True}}
        self.ask("initialize", {"workspaceFolders": folders, "capabilities": able})
        self.send(method="initialized", params={})

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        """The answer to a question; the server's own are answered meanwhile."""
        self.asked += 1
        self.send(id=self.asked, method=method, params=params)
        while True:
            message = self.receive()
            if "method" not in message and message.get("id") == self.asked:
                return message["result"]
            if "method" in message and "id" in message:
                self.send(id=message["id"], result=self.answer(message))

    def answer(self, question: dict[str, Any]) -> Any:
        """Which Python, and otherwise nothing in particular."""
        if question["method"] != "workspace/configuration":
            return None
        python = {"pythonPath": str(self.folder / "venv" / "bin" / "python")}
        items = question["params"]["items"]
        return [python if item.get("section") == "python" else {} for item in items]

    def send(self, **message: Any) -> None:
        assert self.server.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.server.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self.server.stdout is not None
        length = 0
        while line := self.server.stdout.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the server has ended"
        message: dict[str, Any] = json.loads(self.server.stdout.read(length))
        return message


@contextmanager
def editor_in(folder: Path) -> Iterator[Editor]:
    """An editor in this folder; its server ends with it."""
    command = (sys.executable, "-m", "pyright.langserver", "--stdio")
    pipe = subprocess.PIPE
    seen = environment(folder)
    with subprocess.Popen(command, cwd=folder, env=seen, stdin=pipe, stdout=pipe) as server:
        end = Timer(PATIENCE, server.kill)
        end.start()
        try:
            editor = Editor(folder, server)
            editor.start()
            yield editor
        finally:
            end.cancel()
            server.kill()
