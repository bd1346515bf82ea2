"""The verb `review`: what it refuses before it serves; the page itself is tested in tests/review."""

import socket

import pytest
from click.testing import CliRunner

from cathode_tf.tools.main import cli, main


def test_a_folder_that_is_no_project_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["review", str(tmp_path), "--no-browser"])
    assert end.value.code == 1 and "rounds init" in capsys.readouterr().err


def test_a_taken_port_is_said(small_project, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit) as end:
            main(["review", str(small_project.path), "--no-browser", "--port", port])
    assert end.value.code == 1 and "Choose another with --port" in capsys.readouterr().err


def test_without_an_option_only_this_computer_reaches_the_page(small_project, monkeypatch):
    """Both of the verb and of the function; and the page answers to names of this computer only."""
    uvicorn = pytest.importorskip("uvicorn")
    from cathode_tf.review import serve, server

    bound, names = [], []

    def note(self, sockets):
        bound.append(sockets[0].getsockname()[0])
        sockets[0].close()

    def build_app(project, *, hosts, **_):
        names.append({host.rpartition(":")[0] for host in hosts})

    monkeypatch.setattr(uvicorn.Server, "run", note)
    monkeypatch.setattr("cathode_tf.review.app.build_app", build_app)
    monkeypatch.setattr(server.webbrowser, "open", lambda address: pytest.fail("asked for no browser"))
    serve(small_project, browser=False, announce=str)
    done = CliRunner().invoke(
        cli, ["review", str(small_project.path), "--no-browser"], catch_exceptions=False
    )
    assert "Warning" not in done.output and "http://127.0.0.1:" in done.output
    assert bound == ["127.0.0.1"] * 2 and names == [{"127.0.0.1", "localhost"}] * 2
    done = CliRunner().invoke(cli, ["review", str(small_project.path), "--no-browser", "--host", "0.0.0.0"])
    assert bound[2:] == ["0.0.0.0"] and "Warning: whoever reaches 0.0.0.0" in done.output


def test_an_address_of_the_newer_internet_stands_in_brackets(small_project, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn")
    from cathode_tf.review import serve, server

    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: sockets[0].close())
    monkeypatch.setattr(server, "listen", lambda host, port: socket.create_server(("127.0.0.1", 0)))
    told = []
    serve(small_project, host="::1", browser=False, announce=told.append)
    assert told[0].startswith("http://[::1]:")
