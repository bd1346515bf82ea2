"""The verb `review`: what it refuses before it serves; the page itself is tested in tests/review."""

import socket

import pytest

from cathode_tf.tools.main import main


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


def test_an_address_of_the_newer_internet_stands_in_brackets(small_project, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn")
    from cathode_tf.review import serve, server

    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: sockets[0].close())
    monkeypatch.setattr(server, "_listen", lambda host, port: socket.create_server(("127.0.0.1", 0)))
    told = []
    serve(small_project, host="::1", browser=False, announce=told.append)
    assert told[0].startswith("http://[::1]:")
