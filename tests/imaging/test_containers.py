"""CZI and EMD, made here byte by byte or by h5py, give back their pixels and the edge of a pixel."""

import json
import struct

import numpy as np
import pytest

from cathode_tf.errors import InputError
from cathode_tf.imaging import find_images, read_micrograph

GREY = np.random.default_rng(0).integers(0, 256, (40, 56), np.uint8)


def segment(name, content):
    return struct.pack("<16sqq", name, len(content), len(content)) + content


def entry(axes, position, packing=0):
    """An entry of the directory for a plane of 8-bit grey; axes by name: (start, size)."""
    dims = b"".join(
        struct.pack("<4siifi", axis.encode(), start, size, 0.0, size) for axis, (start, size) in axes.items()
    )
    return struct.pack("<2siqii6xi", b"DV", 0, position, 0, packing, len(axes)) + dims


def packed_samples(plane, packing):
    """The bytes of a plane: as they are (0), by Zstandard (5), or that behind a header (6)."""
    if not packing:
        return plane.tobytes()
    from imagecodecs import zstd_encode

    return (b"\3\1\0" if packing == 6 else b"") + bytes(zstd_encode(plane.tobytes()))


def write_czi(path, planes, axis="Z", size_nm=50.0, packing=0):
    """A CZI of planes along one axis, as the format's description lays it out."""
    xml = (
        "<ImageDocument><Metadata><Information><Image>"
        f"<SizeX>{planes.shape[2]}</SizeX><SizeY>{planes.shape[1]}</SizeY></Image></Information><Scaling><Items>"
        + "".join(f'<Distance Id="{a}"><Value>{size_nm * 1e-9}</Value></Distance>' for a in "XY")
        + '<Distance Id="Z"><Value>2e-08</Value></Distance></Items></Scaling></Metadata></ImageDocument>'
    ).encode()
    content, entries = bytearray(544), []
    for index, plane in enumerate(planes):
        axes = {"X": (0, plane.shape[1]), "Y": (0, plane.shape[0]), axis: (index, 1)}
        own = entry(axes, len(content), packing)
        samples = packed_samples(plane, packing)
        entries.append(own)
        head = struct.pack("<iiq", 0, 0, len(samples)) + own
        content += segment(b"ZISRAWSUBBLOCK", head + bytes(max(256 - len(head), 0)) + samples)
    directory = len(content)
    content += segment(b"ZISRAWDIRECTORY", struct.pack("<i124x", len(entries)) + b"".join(entries))
    metadata = len(content)
    content += segment(b"ZISRAWMETADATA", struct.pack("<ii248x", len(xml), 0) + xml)
    guid = bytes(range(16))
    head = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, guid, guid, 0, directory, metadata, 0, 0)
    content[:544] = segment(b"ZISRAWFILE", head + bytes(512 - len(head)))
    path.write_bytes(content)
    return path


def test_czi_of_one_plane(tmp_path):
    pytest.importorskip("czifile")
    micrograph = read_micrograph(write_czi(tmp_path / "a.czi", GREY[None]))
    np.testing.assert_array_equal(micrograph.pixels, GREY)
    assert micrograph.pixel_size_nm == pytest.approx(50) and "Distance X" in micrograph.pixel_size_source
    assert find_images(tmp_path) == [tmp_path / "a.czi"]


def test_czi_of_slices_and_of_channels(tmp_path):
    pytest.importorskip("czifile")
    planes = np.stack([GREY, 255 - GREY, GREY // 2])
    stack = read_micrograph(write_czi(tmp_path / "a.czi", planes))
    for micrograph, plane in zip(stack, planes, strict=True):
        np.testing.assert_array_equal(micrograph.pixels, plane)
    assert stack[0].acquisition["slice_thickness_nm"] == pytest.approx(20)
    with pytest.raises(InputError, match=r"must hold one image. Received a CZI of 3 along C"):
        read_micrograph(write_czi(tmp_path / "c.czi", planes, axis="C"))


@pytest.mark.parametrize("packing", [5, 6])
def test_czi_packed_by_zstandard(tmp_path, packing):
    pytest.importorskip("czifile")
    micrograph = read_micrograph(write_czi(tmp_path / "a.czi", GREY[None], packing=packing))
    np.testing.assert_array_equal(micrograph.pixels, GREY)


def test_a_czi_packed_in_an_unknown_way_is_refused(tmp_path):
    pytest.importorskip("czifile")
    content = bytearray(write_czi(tmp_path / "a.czi", GREY[None], packing=5).read_bytes())
    # The entry of the directory is the last that begins so; its packing stands 18 bytes on.
    struct.pack_into("<i", content, content.rfind(b"DV") + 18, 1000)
    (tmp_path / "a.czi").write_bytes(content)
    with pytest.raises(InputError, match=r"packed in a way that is not known \(1000\)\. Export it as TIFF"):
        read_micrograph(tmp_path / "a.czi")


def test_a_damaged_czi_is_one_sentence(tmp_path):
    pytest.importorskip("czifile")
    content = write_czi(tmp_path / "a.czi", GREY[None]).read_bytes()
    for length in (100, 600, 2000):
        (tmp_path / "a.czi").write_bytes(content[:length])
        with pytest.raises(InputError, match=r"a\.czi: must be a whole"):
            read_micrograph(tmp_path / "a.czi")


def write_velox(path, frames=1, images=1, size_m=5e-8):
    import h5py

    metadata = {
        "BinaryResult": {"PixelSize": {"width": str(size_m), "height": str(size_m)}, "PixelUnitX": "m",
                         "PixelUnitY": "m", "Detector": "HAADF", "Offset": {"x": "0", "y": "0"}},
        "Optics": {"AccelerationVoltage": "30000"}, "Core": {"MetadataDefinitionVersion": "7.9"},
    }  # fmt: skip
    text = np.frombuffer(json.dumps(metadata).encode().ljust(2000, b"\0"), np.uint8)
    with h5py.File(path, "w") as file:
        file["Version"] = [json.dumps({"format": "Velox", "version": "1.0"}).encode()]
        for index in range(images):
            group = file.create_group(f"Data/Image/{index:032x}")
            group["Data"] = np.repeat(GREY[..., None], frames, axis=2)
            group["Metadata"] = np.repeat(text[:, None], frames, axis=1)
    return path


def test_emd_of_velox(tmp_path):
    micrograph = read_micrograph(write_velox(tmp_path / "a.emd"))
    np.testing.assert_array_equal(micrograph.pixels, GREY)
    assert micrograph.pixel_size_nm == pytest.approx(50) and "Velox" in micrograph.pixel_size_source
    assert micrograph.acquisition["kV"] == 30 and micrograph.acquisition["detector"] == "HAADF"
    with pytest.raises(InputError, match="4 frames of one place"):
        read_micrograph(write_velox(tmp_path / "f.emd", frames=4))
    with pytest.raises(InputError, match=r"must hold one image\. Received an EMD of 2"):
        read_micrograph(write_velox(tmp_path / "t.emd", images=2))


def write_berkeley(path, data, step_nm, names="zyx"):
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("experiment/image")
        group.attrs["emd_group_type"] = 1
        group["data"] = data
        for axis, length in enumerate(data.shape, start=1):
            group[f"dim{axis}"] = np.arange(length) * step_nm
            group[f"dim{axis}"].attrs["name"], group[f"dim{axis}"].attrs["units"] = (
                names[axis - 1 - data.ndim],
                "[n_m]",
            )
    return path


def test_emd_of_berkeley(tmp_path):
    micrograph = read_micrograph(write_berkeley(tmp_path / "a.emd", GREY, 50.0))
    np.testing.assert_array_equal(micrograph.pixels, GREY)
    assert micrograph.pixel_size_nm == pytest.approx(50)
    stack = read_micrograph(write_berkeley(tmp_path / "s.emd", np.stack([GREY, 255 - GREY]), 50.0))
    assert len(stack) == 2 and stack[1].acquisition["slice_thickness_nm"] == pytest.approx(50)
    np.testing.assert_array_equal(stack[1].pixels, 255 - GREY)


def test_hdf5_that_is_no_emd(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exported_data"] = GREY
    with pytest.raises(InputError, match="HDF5 file that is no EMD"):
        read_micrograph(tmp_path / "a.h5")


@pytest.mark.filterwarnings("ignore")
def test_a_second_library_reads_the_same(tmp_path):
    reader = pytest.importorskip("rsciio.emd").file_reader
    # It takes the first axis for x, whatever its name; so here columns come first, and are called so.
    (signal,) = reader(str(write_berkeley(tmp_path / "a.emd", GREY.T, 50.0, "xy")))
    np.testing.assert_array_equal(signal["data"], GREY)
    np.testing.assert_array_equal(read_micrograph(tmp_path / "a.emd").pixels, GREY)
    axis = signal["axes"][-1]
    assert axis["scale"] == read_micrograph(tmp_path / "a.emd").pixel_size_nm == 50
