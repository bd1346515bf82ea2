"""What lies on the desk: a folder of micrographs or a project, the jobs at work on it, and who sits before it.

The routes ask the desk; there is one a server.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, read_json, write_json
from cathode_tf.imaging import find_images
from cathode_tf.imaging.rasters import SUFFIXES
from cathode_tf.phases import Phases
from cathode_tf.progress import listening
from cathode_tf.review.folders import folder_table
from cathode_tf.review.jobs import Jobs, Worker
from cathode_tf.review.pictures import FilePictures
from cathode_tf.review.points import BatchPoints
from cathode_tf.review.views import Views
from cathode_tf.rounds import Project, create_project

PROJECT = "cathode-project"
"""Name of the project's folder in the folder of its images."""

MOST_RECENT = 8
DEMO_IMAGES = 6
DEMO_PX = (600, 800)


class NoProject(InputError):
    """The page asks for what only a project has."""


class Desk:
    """The folder and the project of one server.

    Args:
        place: A project, a folder of micrographs, or None to choose one on the page.
        who: Name of the person, until the page gives another.
        home: Where projects of folders that cannot be written, and dropped files, go; default `~/cathode-tf`.
        stations: Whether the page leads through all stations, or only reviews one project.
    """

    def __init__(
        self,
        place: Path | Project | None,
        *,
        who: str,
        home: Path | None = None,
        stations: bool = False,
    ) -> None:
        self.who, self.stations = who, stations
        self.home = home or Path.home() / "cathode-tf"
        self.worker = Worker(Path(tempfile.mkdtemp(prefix="cathode-tf-")) / "speed.json")
        self.folder: Path | None = None
        self.lan_address: Callable[[str], str] | None = None
        self.copying: dict[str, Any] | None = None
        self.broken: list[tuple[Path, str]] = []
        self._busy = threading.Lock()
        self._project: Project | None = None
        self._views: Views | None = None
        self._jobs: Jobs | None = None
        self._points: BatchPoints | None = None
        self._files: FilePictures | None = None
        if isinstance(place, Project):
            self._take(place)
        elif place is not None:
            self.open(place)

    @property
    def project(self) -> Project:
        """The project.

        Raises:
            NoProject: If none is open.
        """
        if self._project is None:
            raise NoProject("No project is open yet: choose the images first.")
        return self._project

    @property
    def has_project(self) -> bool:
        """Whether one is open."""
        return self._project is not None

    @property
    def views(self) -> Views:
        """Pictures of the project's images."""
        self.project  # noqa: B018  raises where there is none
        assert self._views is not None
        return self._views

    @property
    def jobs(self) -> Jobs:
        """The project's jobs."""
        self.project  # noqa: B018
        assert self._jobs is not None
        return self._jobs

    @property
    def points(self) -> BatchPoints:
        """The random points on masks of the project."""
        self.project  # noqa: B018
        assert self._points is not None
        return self._points

    @property
    def files(self) -> FilePictures:
        """Pictures of the files of the folder.

        Raises:
            InputError: If no folder is open.
        """
        if self.folder is None:
            raise InputError("images: must be chosen first. Received no folder.")
        if self._files is None or self._files.folder != self.folder:
            self._files = FilePictures(self.folder)
        return self._files

    def open(self, place: Path) -> None:
        """Lay a project, or a folder of micrographs, on the desk.

        Raises:
            InputError: If it is neither.
        """
        place = place.expanduser().resolve()
        for candidate in (place, place / PROJECT, self._elsewhere(place)):
            if (candidate / "project.json").is_file():
                self.folder = place if candidate != place else None
                self._take(Project(candidate))
                self._remember(place)
                return
        if not place.is_dir():
            raise InputError(
                f"{place}: must be a folder of micrographs, or a project. There is no such folder."
            )
        find_images(place)  # says what is wrong where it holds none
        self.folder, self._project, self._views, self._jobs = place, None, None, None

    def reload(self, project: Project | None = None) -> None:
        """Read the project anew, as its phases changed."""
        self._take(project or Project(self.project.path))

    def make(self) -> Project:
        """A project of the images of the folder; in it, or in the home where it cannot be written.

        Raises:
            InputError: If an image cannot be read, or nothing can be written.
        """
        if self.folder is None:
            raise InputError("images: must be chosen first. Received no folder.")
        with self._busy:
            if self._project is not None:
                return self._project
            path = self.folder / PROJECT if os.access(self.folder, os.W_OK) else self._elsewhere(self.folder)
            try:
                images = [row["path"] for row in folder_table(self.folder) if row["use"]]
                with listening(self):
                    made = create_project(
                        path, Phases.default(), images, name=self.folder.name, broken=self.broken
                    )
            finally:
                self.copying = None
            self._take(made)
            self._remember(self.folder)
        return made

    def begin_demo(self) -> None:
        """Open a project of synthetic micrographs; makes it first, in a thread, where there is none yet."""
        folder = self.home / "demo"
        if (folder / PROJECT / "project.json").is_file():
            self.open(folder)
            return
        self.copying = {"label": "Making synthetic micrographs", "done": 0, "of": DEMO_IMAGES}
        threading.Thread(target=self._make_demo, args=(folder,), daemon=True).start()

    def _make_demo(self, folder: Path) -> None:
        import tifffile

        from cathode_tf.synthesis import Parameters, synthesize

        folder.mkdir(parents=True, exist_ok=True)
        parameters = Parameters.demo()
        per_um = 1000.0 / parameters.pixel_size_nm
        for index in range(DEMO_IMAGES):
            path = folder / f"cathode_{index + 1}.tif"
            if not path.exists():
                sample = synthesize(
                    index + 1, seed=7, height=DEMO_PX[0], width=DEMO_PX[1], parameters=parameters
                )[index]
                with atomic_file(path) as temporary:
                    tifffile.imwrite(
                        temporary,
                        sample.image,
                        imagej=True,
                        resolution=(per_um, per_um),
                        metadata={"unit": "um"},
                    )
            self.copying = {"label": "Making synthetic micrographs", "done": index + 1, "of": DEMO_IMAGES}
        self.folder = folder
        self.make()

    def heard(self, label: str, done: float, total: float | None, **facts: Any) -> None:
        """Progress of the copying, for the page."""
        self.copying = {"label": label, "done": done, "of": total}

    def stop_asked(self) -> bool:
        """Copying goes to its end."""
        return False

    def drop(self, name: str) -> Path:
        """Where a dropped file of this name goes: into the folder, if that is one of dropped files, or a new one.

        Raises:
            InputError: If the name is none of an image.
        """
        plain = re.sub(r"[^\w. ()+-]", "_", Path(name.replace("\\", "/")).name).strip(". ")
        if Path(plain).suffix.lower() not in SUFFIXES or len(plain) > 150:
            raise InputError(f"{name[:80]}: must be an image ({', '.join(SUFFIXES)}). Received another file.")
        dropped = self.home / "dropped"
        if self.folder is None or dropped not in self.folder.parents:
            dropped.mkdir(parents=True, exist_ok=True)
            number = 1 + max((int(p.name) for p in dropped.iterdir() if p.name.isdigit()), default=0)
            folder = dropped / f"{number:03d}"
            folder.mkdir()
            self.folder, self._project, self._views, self._jobs = folder, None, None, None
        return self.folder / plain

    def recent(self) -> list[str]:
        """Folders that were open lately and are still there, the last one first."""
        path = self.home / "recent.json"
        known = read_json(path) if path.exists() else []
        return [place for place in known if isinstance(place, str) and Path(place).is_dir()]

    def _take(self, project: Project) -> None:
        self._project, self._views = project, Views(project)
        self._jobs, self._points = Jobs(project, self.worker), BatchPoints(project)

    def _elsewhere(self, folder: Path) -> Path:
        """The project of a folder that cannot be written."""
        # Two folders may have one name.
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        return self.home / "projects" / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', folder.name)}-{digest}"

    def _remember(self, place: Path) -> None:
        places = [str(place), *(other for other in self.recent() if other != str(place))]
        try:
            write_json(self.home / "recent.json", places[:MOST_RECENT], force=True)
        except InputError:  # a convenience, no more
            return
