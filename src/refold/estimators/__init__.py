"""The estimators: they join the rooms below them, and only here is `fit`."""

from typing import TYPE_CHECKING

from refold._lazy import lazy_names
from refold.estimators._parameters import (
    AutoencoderParameters,
    CameraParameters,
    CompressorParameters,
    DetectorParameters,
    RestorerParameters,
)

if TYPE_CHECKING:
    from refold.estimators._autoencoder import Autoencoder
    from refold.estimators._baseline import PCABaseline
    from refold.estimators._camera_detection import CameraDetector
    from refold.estimators._camera_events import CameraEvent, CameraEvents
    from refold.estimators._camera_watch import CameraWatch, JudgedFrame
    from refold.estimators._code_alone import Spread, is_code_alone, readers_model
    from refold.estimators._code_neighbours import neighbours
    from refold.estimators._code_sizes import CodeSizes, code_sizes
    from refold.estimators._compressed_files import (
        ArrayToPack,
        CompressedFiles,
        StoredArray,
        arrays_to_pack,
        pack_array,
    )
    from refold.estimators._compressing import Tally, Wish, bound_within, marked, rows_of_block
    from refold.estimators._compressor import CompressionReport, Compressor, decompress, models_of
    from refold.estimators._detector import Detector, FalseAlarms
    from refold.estimators._explaining import Explanation
    from refold.estimators._exporting import ExportReport, export
    from refold.estimators._learning_to_restore import DamageKind
    from refold.estimators._logo import Logo, logos_of
    from refold.estimators._logo_mark import FoundLogo, found_logo, logo_mark, mark_of, sizes_searched, surest
    from refold.estimators._numcodecs import NumcodecsCodec
    from refold.estimators._on_manifold import OnManifold, on_manifold
    from refold.estimators._packing_pool import packing_by
    from refold.estimators._picture_restoring import Restoration
    from refold.estimators._preparing import memory_for_buffers, memory_for_records
    from refold.estimators._records import chunk_rows
    from refold.estimators._restorer import Restorer, pretrained
    from refold.estimators._sampling import Sample, sample
    from refold.estimators._series_of_detector import (
        Event,
        EventFinder,
        PointScore,
        judged_series,
        reasons_of,
        with_times,
    )
    from refold.estimators._shared_mark import Mark, shared_mark
    from refold.estimators._storage import inspect_file, load
    from refold.estimators._table_restoring import TableRestoration
    from refold.estimators._walking import Stretching, Walk, interpolate, stretching, traverse
    from refold.estimators._zarr_codec import ZarrCodec
    from refold.scores import binomial_limits

__all__ = [
    "ArrayToPack",
    "Autoencoder",
    "AutoencoderParameters",
    "CameraDetector",
    "CameraEvent",
    "CameraEvents",
    "CameraParameters",
    "CameraWatch",
    "CodeSizes",
    "CompressedFiles",
    "CompressionReport",
    "Compressor",
    "CompressorParameters",
    "DamageKind",
    "Detector",
    "DetectorParameters",
    "Event",
    "EventFinder",
    "Explanation",
    "ExportReport",
    "FalseAlarms",
    "FoundLogo",
    "JudgedFrame",
    "Logo",
    "Mark",
    "NumcodecsCodec",
    "OnManifold",
    "PCABaseline",
    "PointScore",
    "Restoration",
    "Restorer",
    "RestorerParameters",
    "Sample",
    "Spread",
    "StoredArray",
    "Stretching",
    "TableRestoration",
    "Tally",
    "Walk",
    "Wish",
    "ZarrCodec",
    "arrays_to_pack",
    "binomial_limits",
    "bound_within",
    "chunk_rows",
    "code_sizes",
    "decompress",
    "export",
    "found_logo",
    "inspect_file",
    "interpolate",
    "is_code_alone",
    "judged_series",
    "load",
    "logo_mark",
    "logos_of",
    "mark_of",
    "marked",
    "memory_for_buffers",
    "memory_for_records",
    "models_of",
    "neighbours",
    "on_manifold",
    "pack_array",
    "packing_by",
    "pretrained",
    "readers_model",
    "reasons_of",
    "rows_of_block",
    "sample",
    "shared_mark",
    "sizes_searched",
    "stretching",
    "surest",
    "traverse",
    "with_times",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Autoencoder": "._autoencoder",
        "CameraDetector": "._camera_detection",
        "CameraEvent": "._camera_events",
        "CameraEvents": "._camera_events",
        "CameraWatch": "._camera_watch",
        "CodeSizes": "._code_sizes",
        "code_sizes": "._code_sizes",
        "CompressionReport": "._compressor",
        "Compressor": "._compressor",
        "Spread": "._code_alone",
        "is_code_alone": "._code_alone",
        "readers_model": "._code_alone",
        "ArrayToPack": "._compressed_files",
        "CompressedFiles": "._compressed_files",
        "StoredArray": "._compressed_files",
        "arrays_to_pack": "._compressed_files",
        "pack_array": "._compressed_files",
        "Tally": "._compressing",
        "Wish": "._compressing",
        "bound_within": "._compressing",
        "marked": "._compressing",
        "rows_of_block": "._compressing",
        "models_of": "._compressor",
        "packing_by": "._packing_pool",
        "decompress": "._compressor",
        "Detector": "._detector",
        "Event": "._series_of_detector",
        "EventFinder": "._series_of_detector",
        "Explanation": "._explaining",
        "ExportReport": "._exporting",
        "FalseAlarms": "._detector",
        "JudgedFrame": "._camera_watch",
        "DamageKind": "._learning_to_restore",
        "Restoration": "._picture_restoring",
        "Restorer": "._restorer",
        "TableRestoration": "._table_restoring",
        "Mark": "._shared_mark",
        "Logo": "._logo",
        "logos_of": "._logo",
        "FoundLogo": "._logo_mark",
        "found_logo": "._logo_mark",
        "logo_mark": "._logo_mark",
        "mark_of": "._logo_mark",
        "sizes_searched": "._logo_mark",
        "surest": "._logo_mark",
        "shared_mark": "._shared_mark",
        "pretrained": "._restorer",
        "binomial_limits": "refold.scores",
        "chunk_rows": "._records",
        "export": "._exporting",
        "PointScore": "._series_of_detector",
        "inspect_file": "._storage",
        "judged_series": "._series_of_detector",
        "reasons_of": "._series_of_detector",
        "with_times": "._series_of_detector",
        "NumcodecsCodec": "._numcodecs",
        "ZarrCodec": "._zarr_codec",
        "OnManifold": "._on_manifold",
        "on_manifold": "._on_manifold",
        "neighbours": "._code_neighbours",
        "Sample": "._sampling",
        "sample": "._sampling",
        "Stretching": "._walking",
        "Walk": "._walking",
        "interpolate": "._walking",
        "stretching": "._walking",
        "traverse": "._walking",
        "load": "._storage",
        "memory_for_buffers": "._preparing",
        "memory_for_records": "._preparing",
        "PCABaseline": "._baseline",
    },
)
