"""Anything the user has -> records -> numeric batches, and back."""

from refold.data._adapters import Adapter, adapter_from_json, fit_adapter
from refold.data._arrays import ArrayAdapter
from refold.data._chunk_writing import RecordWriter
from refold.data._frames_of_camera import Camera, Frame, in_order, open_camera, time_of_name, without_secrets
from refold.data._missing_cells import missing_cells, with_cells
from refold.data._opening import open_source
from refold.data._picture_file import PictureFile, read_picture_file, write_picture_file
from refold.data._picture_list import Pictures, open_pictures, pictures_in
from refold.data._pictures import LUMINANCE, is_picture, picture_files, save_picture
from refold.data._prefetch import prefetched
from refold.data._samples import Digits, digits_of_scikit_learn, find_digits
from refold.data._sources import Source
from refold.data._streams import Piece, Stream, in_memory_bytes
from refold.data._tables import Column, TableAdapter
from refold.data._writing import write_records

__all__ = [
    "LUMINANCE",
    "Adapter",
    "ArrayAdapter",
    "Camera",
    "Column",
    "Digits",
    "Frame",
    "PictureFile",
    "Pictures",
    "Piece",
    "RecordWriter",
    "Source",
    "Stream",
    "TableAdapter",
    "adapter_from_json",
    "digits_of_scikit_learn",
    "find_digits",
    "fit_adapter",
    "in_memory_bytes",
    "in_order",
    "is_picture",
    "missing_cells",
    "open_camera",
    "open_pictures",
    "open_source",
    "picture_files",
    "pictures_in",
    "prefetched",
    "read_picture_file",
    "save_picture",
    "time_of_name",
    "with_cells",
    "without_secrets",
    "write_picture_file",
    "write_records",
]
