"""Anything the user has -> records -> numeric batches, and back."""

from refold.data._adapters import Adapter, adapter_from_json, fit_adapter
from refold.data._array_records import Records, array_unfolded, folded, unfolded
from refold.data._arrays import ArrayAdapter
from refold.data._arrays_in_files import ArraysOfFile, NamedArray, open_arrays
from refold.data._arrays_of_pictures import inner_path, open_pictures_as_arrays
from refold.data._arrays_of_tables import columns_apart
from refold.data._chunk_writing import RecordWriter
from refold.data._files import ending_of
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
from refold.data._writing_arrays import endings_for, is_replaceable, is_taken, write_arrays

__all__ = [
    "LUMINANCE",
    "Adapter",
    "ArrayAdapter",
    "ArraysOfFile",
    "Camera",
    "Column",
    "Digits",
    "Frame",
    "NamedArray",
    "PictureFile",
    "Pictures",
    "Piece",
    "RecordWriter",
    "Records",
    "Source",
    "Stream",
    "TableAdapter",
    "adapter_from_json",
    "array_unfolded",
    "columns_apart",
    "digits_of_scikit_learn",
    "ending_of",
    "endings_for",
    "find_digits",
    "fit_adapter",
    "folded",
    "in_memory_bytes",
    "in_order",
    "inner_path",
    "is_picture",
    "is_replaceable",
    "is_taken",
    "missing_cells",
    "open_arrays",
    "open_camera",
    "open_pictures",
    "open_pictures_as_arrays",
    "open_source",
    "picture_files",
    "pictures_in",
    "prefetched",
    "read_picture_file",
    "save_picture",
    "time_of_name",
    "unfolded",
    "with_cells",
    "without_secrets",
    "write_arrays",
    "write_picture_file",
    "write_records",
]
