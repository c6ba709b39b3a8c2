"""Pictures of what refold's models return: static figures and self-contained HTML pages.

Everything here takes plain arrays and mappings; nothing opens a window, changes matplotlib's settings or
asks the network for anything.
"""

from refold.plots._camera import CameraReport, camera_page
from refold.plots._code_sizes import code_size_curves
from refold.plots._detection import (
    DetectionReport,
    StrangeRecord,
    detection_page,
    heat_over,
    score_histogram,
)
from refold.plots._grid import reconstruction_grid
from refold.plots._latent import latent_scatter
from refold.plots._losses import loss_curves
from refold.plots._map_page import MapPage, write_map
from refold.plots._numbers import NumbersTable
from refold.plots._page import Page, write_page
from refold.plots._pictures import Animation, Pictures
from refold.plots._sections import FigureSection, Section, Text
from refold.plots._series import SeriesReport, score_curve, series_page
from refold.plots._static import save_figure
from refold.plots._tables import table_reconstruction
from refold.plots._turning import TurningScatter

__all__ = [
    "Animation",
    "CameraReport",
    "DetectionReport",
    "FigureSection",
    "MapPage",
    "NumbersTable",
    "Page",
    "Pictures",
    "Section",
    "SeriesReport",
    "StrangeRecord",
    "Text",
    "TurningScatter",
    "camera_page",
    "code_size_curves",
    "detection_page",
    "heat_over",
    "latent_scatter",
    "loss_curves",
    "reconstruction_grid",
    "save_figure",
    "score_curve",
    "score_histogram",
    "series_page",
    "table_reconstruction",
    "write_map",
    "write_page",
]
