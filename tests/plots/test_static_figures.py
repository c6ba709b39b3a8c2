"""What users of the static figures rely on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from refold._errors import DataError, ParameterError
from refold.plots import latent_scatter, loss_curves, reconstruction_grid, save_figure, table_reconstruction


def drawn(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def texts(figure: Figure) -> list[str]:
    from matplotlib.text import Text

    figure.set_dpi(50)
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


# ---------------------------------------------------------------- latent_scatter


@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("colours", [None, "classes", "scale"])
def test_a_map_is_drawn_for_any_number_of_numbers(width, count, colours, rng):
    chosen = {None: None, "classes": ["ab"[k % 2] for k in range(count)], "scale": rng.random(count)}[colours]
    figure = latent_scatter(rng.normal(size=(count, width)), colours=chosen, title="Map")
    figure.set_dpi(50)
    assert drawn(figure).std() > 0
    assert ("Shown: the first 3 of 5 numbers." in texts(figure)) == (width == 5)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_equal_codes_are_drawn(width):
    figure = latent_scatter(np.full((30, width), 2.5), colours=np.full(30, 0.1), thumbnails=np.zeros((30, 4, 4)))
    assert drawn(figure).std() > 0


def test_flat_but_wide_codes_stay_inside_the_axes(rng):
    codes = np.column_stack([rng.normal(size=50) * 1e6, rng.normal(size=50) * 1e-6])
    axes = latent_scatter(codes).axes[0]
    for limits, values in zip((axes.get_xlim(), axes.get_ylim()), codes.T, strict=True):
        assert limits[0] < values.min() and values.max() < limits[1]


def test_many_points_are_all_drawn_or_the_figure_says_so(rng):
    few, many = latent_scatter(rng.normal(size=(70_000, 2))), latent_scatter(rng.normal(size=(100_001, 2)))
    assert len(few.axes[0].collections[0].get_offsets()) == 70_000
    assert not [text for text in texts(few) if "Shown" in text]
    assert "Shown: 100,000 of 100,001 points, chosen at random." in texts(many)


def test_whole_numbers_are_classes_in_their_order(rng):
    labels = np.array([10, 9, 2, 10, 9, 2])
    assert legend_of(latent_scatter(rng.normal(size=(6, 2)), colours=labels)) == ["2", "9", "10"]
    assert legend_of(latent_scatter(rng.normal(size=(6, 2)), colours=labels.astype(float))) == ["2", "9", "10"]


def test_more_than_twenty_names_end_in_others(rng):
    names = [f"name {k % 23}" for k in range(100)]
    legend = legend_of(latent_scatter(rng.normal(size=(100, 2)), colours=names))
    assert len(legend) == 21
    assert legend[-1] == "3 others"


def test_more_than_twenty_whole_numbers_are_a_scale(rng):
    figure = latent_scatter(rng.normal(size=(50, 2)), colours=np.arange(50))
    assert not figure.legends and len(figure.axes) == 2


@pytest.mark.parametrize("colours", [["a", None, "b", float("nan")], [1.0, np.nan, 2.0, np.nan]])
def test_missing_colours_are_called_missing(colours, rng):
    assert legend_of(latent_scatter(rng.normal(size=(4, 2)), colours=colours))[-1] == "missing"


def test_missing_numbers_on_a_scale_are_grey(rng):
    figure = latent_scatter(rng.normal(size=(40, 2)), colours=np.r_[np.nan, rng.random(39)])
    colours = figure.axes[0].collections[0].get_facecolors()[:, :3]
    assert sum(np.ptp(colour) < 0.08 for colour in colours) == 1


def test_names_are_shown_letter_by_letter(rng):
    figure = latent_scatter(rng.normal(size=(3, 2)), colours=["_a", "$x", "$y$ \\frac"], title="$\\bad{$")
    assert drawn(figure).std() > 0
    assert len(legend_of(figure)) == 3


def test_thumbnails_never_touch_and_stand_on_their_points(rng):
    codes = rng.normal(size=(300, 2))
    axes = latent_scatter(codes, thumbnails=rng.random((300, 8, 6))).axes[0]
    boxes = np.array([image.get_extent() for image in axes.images])
    assert 10 < len(boxes) < 300
    middles = np.column_stack([boxes[:, :2].mean(axis=1), boxes[:, 2:].mean(axis=1)])
    assert all(np.abs(codes - middle).max(axis=1).min() < 1e-9 for middle in middles)
    size = boxes[0, 1] - boxes[0, 0], boxes[0, 3] - boxes[0, 2]
    for k, middle in enumerate(middles):
        apart = np.abs(np.delete(middles, k, axis=0) - middle) / size
        assert apart.max(axis=1).min() > 1


def test_dots_of_a_crowd_are_thinner_than_lone_ones(rng):
    codes = np.vstack([rng.normal(scale=0.02, size=(20_000, 2)), [[3.0, 3.0], [-3.0, -3.0]]])
    dots = latent_scatter(codes).axes[0].collections[0]
    strengths = {
        tuple(place): alpha for place, alpha in zip(dots.get_offsets().tolist(), dots.get_alpha(), strict=True)
    }
    assert strengths[3.0, 3.0] == strengths[-3.0, -3.0] == max(strengths.values()) > 0.8
    assert np.median(list(strengths.values())) < 0.3


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_caption_is_written_whole_under_the_map(width, rng):
    caption = "What it keeps of the $data$: " + "trustworthiness 0.9, " * 12
    figure = latent_scatter(rng.normal(size=(50, width)), caption=caption)
    remark = next(text for text in figure.texts if "What it keeps" in text.get_text())
    assert " ".join(remark.get_text().replace("\\$", "$").split()).startswith(caption.strip())
    assert ("first 3 of 4" in remark.get_text()) == (width == 4)
    figure.canvas.draw()
    box = remark.get_window_extent()
    assert min(box.x0, box.y0) >= 0 and box.x1 <= figure.bbox.width
    if width < 3:
        assert box.y1 <= figure.axes[0].xaxis.label.get_window_extent().y0


@pytest.mark.parametrize(
    ("codes", "more", "words"),
    [
        (np.zeros(5), {}, "(n, k)"),
        (np.zeros((0, 2)), {}, "at least one row"),
        (np.array([[0.0, np.nan]]), {}, "NaN"),
        ([["a", "b"]], {}, "not numbers"),
        (np.zeros((3, 2)), {"colours": [1, 2]}, "2 colours for 3 codes"),
        (np.zeros((3, 2)), {"colours": np.zeros((3, 3))}, "colours of shape"),
        (np.zeros((3, 2)), {"thumbnails": np.zeros((2, 4, 4))}, "2 thumbnails for 3 codes"),
        (np.zeros((3, 2)), {"thumbnails": np.zeros((3, 4))}, "thumbnails of shape"),
        (np.zeros((3, 2)), {"thumbnails": np.full((3, 4, 4), np.nan)}, "NaN"),
    ],
)
def test_what_cannot_be_mapped_is_said(codes, more, words):
    with pytest.raises(DataError) as told:
        latent_scatter(codes, **more)
    assert words in str(told.value)


# ---------------------------------------------------------------- reconstruction_grid


def row_pictures(figure: Figure) -> list[np.ndarray]:
    return [axes.images[0].get_array() for axes in figure.axes]


def test_a_grid_has_one_labelled_row_each_and_the_first_columns(rng):
    images = rng.random((20, 6, 8))
    figure = reconstruction_grid({"original": images, "through 3 numbers": images}, columns=4, title="Grid")
    assert [text for text in texts(figure) if text in ("original", "through 3 numbers")]
    assert len(figure.axes) == 2
    row = row_pictures(figure)[0]
    solid_columns = (row[0, :, 3] == 255).sum()
    assert solid_columns % (4 * 8) == 0


def test_small_pixels_come_out_as_whole_blocks_of_dots():
    checks = (np.indices((7, 7)).sum(axis=0) % 2 * 255).astype(np.uint8)
    figure = reconstruction_grid({"": checks[None]})
    row = row_pictures(figure)[0]
    factor = row.shape[0] // 7
    assert np.array_equal(row[..., 0], checks.repeat(factor, axis=0).repeat(factor, axis=1))
    dots = drawn(figure)[..., 0]
    dark = np.flatnonzero((dots == 0).any(axis=1))
    assert dark[-1] - dark[0] + 1 == 7 * factor


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, bool])
def test_any_kind_of_picture_is_drawn(channels, kind, rng):
    images = (rng.random((3, 40, 30, *channels)) * (255 if kind is np.uint8 else 1)).round().astype(kind)
    assert drawn(reconstruction_grid({"a": images})).std() > 0


def test_overshoot_beside_pictures_in_0_to_1_is_cut_off():
    original = np.linspace(0, 1, 4).reshape(1, 2, 2)
    rows = row_pictures(reconstruction_grid({"original": original, "rebuilt": original * 3 - 1}))
    assert rows[0][0, 0, 0] == 0 and rows[0][-1, -1, 0] == 255
    assert rows[1][0, 0, 0] == 0 and rows[1][-1, -1, 0] == 255


def test_other_numbers_share_one_scale():
    rows = row_pictures(reconstruction_grid({"a": np.full((1, 2, 2), -10.0), "b": np.full((1, 2, 2), 30.0)}))
    assert (rows[0][..., 0].max(), rows[1][..., 0].min()) == (0, 255)


@pytest.mark.parametrize(
    "rows",
    [{}, {"a": np.zeros((2, 3, 3)), "b": np.zeros((3, 3, 3))}, {"a": np.zeros((2, 3))}, {"a": np.zeros((0, 3, 3))}],
)
def test_what_is_no_grid_is_refused(rows: Mapping[str, Any]):
    with pytest.raises(DataError, match="got"):
        reconstruction_grid(rows)


def test_a_grid_needs_a_column():
    with pytest.raises(ParameterError, match="columns=0"):
        reconstruction_grid({"a": np.zeros((2, 3, 3))}, columns=0)


# ---------------------------------------------------------------- table_reconstruction


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_columns_are_judged_by_r2_or_by_equal_values():
    before = {"size": [1.0, 2.0, 3.0, None], "town": ["Rome", "Oslo", None, "Rome"], "same": [5, 5, 5, 5]}
    after = {"size": [1.0, 2.0, 3.0, 9.0], "town": ["Rome", "Rome", "Oslo", "Rome"], "same": [4, 5, 5, 5]}
    assert titles(table_reconstruction(before, after)) == [
        "size\nR² = 1.00",
        "town\n67 % equal",
        "same\nR² undefined: constant",
    ]


def test_r2_compares_with_always_saying_the_mean():
    before = [0.0, 1.0, 2.0]
    for after, r2 in (([0.0, 1.0, 1.0], "0.50"), ([1.0, 1.0, 1.0], "0.00"), ([2.0, 1.0, 0.0], "-3.00")):
        assert titles(table_reconstruction({"a": before}, {"a": after})) == [f"a\nR² = {r2}"]


def test_what_became_what_sums_to_one_per_original():
    before, after = ["a", "a", "a", "b"], ["a", "b", "b", "b"]
    shares = table_reconstruction({"x": before}, {"x": after}).axes[0].images[0].get_array()
    assert np.allclose(shares, [[1 / 3, 2 / 3], [0, 1]])


def test_many_values_end_in_others(rng):
    names = [f"value {k}" for k in rng.integers(0, 30, 200)]
    axes = table_reconstruction({"x": names}, {"x": names}).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "others"


def test_booleans_and_empty_columns_are_drawn():
    before = {"flag": [True, False], "empty": [None, float("nan")], "endless": [1.0, np.inf]}
    figure = table_reconstruction(before, before)
    assert titles(figure)[:2] == ["flag\n100 % equal", "empty\nno values to compare"]
    assert drawn(figure).std() > 0


def test_at_most_twelve_columns_are_drawn_and_the_rest_is_counted(rng):
    table = {f"column {k}": rng.random(5) for k in range(15)}
    figure = table_reconstruction(table, table, title="Table")
    assert len(figure.axes) == 12
    assert "Shown: the first 12 of 15 columns." in texts(figure)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {}, "0 columns"),
        ({"a": [1]}, {"b": [1]}, "lacks ['a']"),
        ({"a": [1, 2]}, {"a": [1]}, "2 values before and 1"),
    ],
)
def test_tables_that_do_not_match_are_refused(before, after, words):
    with pytest.raises(DataError) as told:
        table_reconstruction(before, after)
    assert words in str(told.value)


# ---------------------------------------------------------------- loss_curves


def test_curves_are_drawn_where_they_are_and_the_best_epoch_is_marked():
    history = {
        "epoch": [1, 2, 3],
        "train_loss": [100.0, 10.0, 1.0],
        "validation_loss": [110.0, None, float("nan")],
        "train_error": [0.3, 0.2, 0.25],
        "validation_error": [np.nan] * 3,
        "learning_rate": [0.1, 0.1, 0.1],
        "seconds": [1, 2, 3],
    }
    figure = loss_curves(history, best_epoch=2, title="Training")
    assert titles(figure) == ["loss", "error"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"]
    assert [[line.get_label() for line in axes.lines] for axes in figure.axes] == [
        ["train", "validation", "best epoch: 2"],
        ["train", "best epoch: 2"],
    ]


def test_a_changing_learning_rate_has_its_panel_and_a_loss_of_zero_no_logarithm():
    figure = loss_curves({"train_loss": [5.0, 0.0], "learning_rate": [0.1, 0.01]})
    assert titles(figure) == ["loss", "learning rate"]
    assert figure.axes[0].get_yscale() == "linear"


def test_a_single_epoch_is_visible():
    figure = loss_curves({"train_loss": [1.0]})
    assert figure.axes[0].lines[0].get_marker() == "o"
    assert drawn(figure).std() > 0


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ({}, "without a finite loss"),
        ({"train_loss": [float("nan")]}, "without a finite loss"),
        ({"train_loss": [1, 2], "validation_loss": [1]}, "unequal lengths"),
        ({"train_loss": [1, 2], "epoch": [1]}, "1 epoch numbers for 2"),
    ],
)
def test_a_history_without_curves_is_refused(history, words):
    with pytest.raises(DataError, match=words):
        loss_curves(history)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".PDF", b"%PDF"), (".svg", b"<?xml")])
def test_a_figure_file_is_of_the_kind_its_name_says(tmp_path, suffix, start):
    path = tmp_path / f"figure{suffix}"
    save_figure(loss_curves({"train_loss": [2.0, 1.0]}), path)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_a_figure_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"\.png, \.pdf or \.svg"):
        save_figure(Figure(), tmp_path / "figure.bmp")
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_text("old")

    def fails_halfway(target, **_):
        target.write_text("half")
        raise OSError("disk full")

    figure = Figure()
    monkeypatch.setattr(figure, "savefig", fails_halfway)
    with pytest.raises(OSError, match="disk full"):
        save_figure(figure, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_drawing_opens_no_window_and_changes_no_setting(rng):
    import matplotlib

    before = dict(matplotlib.rcParams), matplotlib.get_backend(auto_select=False)
    latent_scatter(rng.normal(size=(5, 3)), colours=list("ababa"))
    loss_curves({"train_loss": [1.0]})
    assert (dict(matplotlib.rcParams), matplotlib.get_backend(auto_select=False)) == before
    assert pyplot.get_fignums() == []
