"""What a detector promises: false alarms, the same score everywhere, reasons, and rules for what is new."""

import warnings
from functools import cache

import numpy as np
import pandas
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import refold
from refold import DataError, Detector, ModelFileError, ParameterError, RefoldWarning
from refold.estimators import binomial_limits


def small(**parameters):
    return Detector(**{"members": 3, "width": 24, "steps": 120, "random_state": 0, **parameters})


def normal_rows(count, seed=0):
    """Rows of six numbers that two numbers explain."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(2, 6))
    return rng.normal(size=(count, 2)) @ mixing + 0.1 * rng.normal(size=(count, 6))


def mixed_table(count, seed=0):
    """A table in which income follows from age and city; with gaps."""
    rng = np.random.default_rng(seed)
    table = pandas.DataFrame({"age": rng.normal(40, 10, count), "city": rng.choice(["Graz", "Linz", "Wien"], count)})
    table["income"] = 100 * table.age + 3000 * (table.city == "Wien") + rng.normal(0, 100, count)
    table.loc[rng.random(count) < 0.05, "age"] = np.nan
    table.loc[rng.random(count) < 0.05, "city"] = None
    return table


@cache
def of_rows():
    return small(false_alarm_rate=0.05).fit(normal_rows(600))


@cache
def of_table():
    return small(steps=250).fit(mixed_table(500))


@parametrize_with_checks([Detector(members=2, width=16, steps=60, random_state=0)])
def test_scikit_learns_own_contract(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


# --- the promise -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.02, 0.1])
def test_false_alarms_on_new_normal_rows_agree_with_the_promise(rate):
    detector = small(false_alarm_rate=rate).fit(normal_rows(600, seed=1))
    alarms = detector.false_alarms(normal_rows(3000, seed=2))
    assert alarms.promised == rate
    assert alarms.lowest <= alarms.observed <= alarms.highest and alarms.kept


def test_p_values_of_new_normal_rows_are_nearly_uniform():
    p_values = of_rows().p_value(normal_rows(2000, seed=3))
    for rate in (0.05, 0.2, 0.5):
        low, high = binomial_limits(2000, rate, 600, 0.999)
        assert low - 0.02 <= np.mean(p_values <= rate) <= high


def test_too_few_normal_records_say_what_can_be_promised():
    with pytest.warns(
        RefoldWarning, match=r"40 normal records cannot promise .* 0.01, which needs 99; promised is 0.024"
    ):
        detector = small(false_alarm_rate=0.01).fit(normal_rows(40))
    assert detector.promised_false_alarm_rate_ == pytest.approx(1 / 41)


def test_a_threshold_of_your_own_is_used():
    detector = small(threshold=1.5).fit(normal_rows(200))
    assert detector.threshold_ == 1.5
    assert np.array_equal(detector.predict(normal_rows(50)) == -1, detector.anomaly_score(normal_rows(50)) > 1.5)


@pytest.mark.parametrize(("count", "columns"), [(60, 40), (30, 60), (200, 100)])
def test_the_promise_holds_for_few_wide_rows(count, columns):
    shares = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        detector = small(false_alarm_rate=0.1, steps=60, random_state=seed).fit(rng.normal(size=(count, columns)))
        shares.append(np.mean(detector.predict(rng.normal(size=(500, columns))) == -1))
    assert np.mean(shares) < 0.15


def test_predict_and_p_value_agree():
    rows = np.concatenate([normal_rows(300, seed=4), normal_rows(30, seed=5) + np.array([0, 0, 4, 0, 0, 0])])
    detector = of_rows()
    assert np.array_equal(detector.predict(rows) == -1, detector.p_value(rows) <= detector.false_alarm_rate + 1e-9)


def test_a_few_labels_raise_the_threshold_to_below_the_weakest_caught_anomaly():
    detector = small(false_alarm_rate=0.05).fit(normal_rows(400))
    before = detector.threshold_
    rows = np.concatenate([normal_rows(100, seed=6), normal_rows(5, seed=7) + np.array([0, 0, 9, 0, 0, 0])])
    labels = np.repeat([0, 1], [100, 5])
    detector.calibrate(rows, labels)
    assert detector.threshold_ > before
    assert (detector.predict(rows[100:]) == -1).all()
    with pytest.raises(DataError, match="y must hold"):
        detector.calibrate(rows, labels + 5)


# --- scores ------------------------------------------------------------------------------------------------------


def test_malignant_tissue_is_stranger_than_benign():
    table, label = load_breast_cancer(return_X_y=True)
    benign = table[label == 1]
    detector = Detector(random_state=0).fit(benign[:200])
    scores = detector.anomaly_score(np.concatenate([benign[200:], table[label == 0]]))
    truth = np.repeat([0, 1], [len(benign) - 200, (label == 0).sum()])
    assert roc_auc_score(truth, scores) > 0.95


def test_a_broken_relation_is_found_where_no_single_value_is_unusual():
    detector, rows = of_rows(), normal_rows(200, seed=8)
    mixed = rows.copy()
    mixed[:, 3] = np.roll(rows[:, 3], 1)
    truth = np.repeat([0, 1], 200)
    assert roc_auc_score(truth, detector.anomaly_score(np.concatenate([rows, mixed]))) > 0.85


def test_a_row_has_the_same_score_alone_among_others_in_the_scorer_and_in_a_file(tmp_path):
    detector, rows = of_rows(), normal_rows(300, seed=9)
    scores = detector.anomaly_score(rows)
    alone = np.concatenate([detector.anomaly_score(rows[place : place + 1]) for place in range(10)])
    quick = detector.scorer()
    assert np.abs(alone - scores[:10]).max() < 1e-5
    assert max(abs(quick(row) - score) for row, score in zip(rows[:10], scores[:10], strict=True)) < 1e-5
    detector.save(tmp_path / "model.safetensors")
    again = refold.load(tmp_path / "model.safetensors")
    assert np.array_equal(again.anomaly_score(rows), scores)
    assert np.array_equal(again.p_value(rows), detector.p_value(rows))
    assert (again.threshold_, again.get_params()) == (detector.threshold_, detector.get_params())


def test_a_training_row_is_judged_as_if_it_was_new():
    detector = of_rows()
    scores = detector.anomaly_score(normal_rows(600))
    flagged = np.mean(scores > detector.threshold_)
    assert 0.01 < flagged < 0.08
    assert np.corrcoef(scores, detector.decision_scores_)[0, 1] > 0.8


def test_names_of_pyod_mean_what_they_mean_there():
    detector = of_rows()
    assert detector.decision_scores_.shape == detector.labels_.shape == (600,)
    assert np.array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)


def test_the_same_seed_gives_the_same_scores():
    rows = normal_rows(100)
    assert np.array_equal(small().fit(rows).anomaly_score(rows), small().fit(rows).anomaly_score(rows))


@pytest.mark.parametrize("columns", [6, 9])
def test_a_row_has_exactly_the_same_score_in_parts_of_any_size(columns):
    rows = np.random.default_rng(0).normal(size=(300, columns))
    detector = small(steps=20).fit(rows)
    scores, errors = detector.anomaly_score(rows), detector.reconstruction_error(rows)
    for size in (1, 7, 13):
        parts = [rows[start : start + size] for start in range(0, 60, size)]
        assert np.array_equal(np.concatenate([detector.anomaly_score(part) for part in parts])[:60], scores[:60])
        assert np.array_equal(
            np.concatenate([detector.reconstruction_error(part) for part in parts])[:60], errors[:60]
        )


def test_calibration_by_new_rows_forgets_the_old_ones():
    drifted = normal_rows(400, seed=11) + 1.5
    detector = small(false_alarm_rate=0.05).fit(normal_rows(600))
    before = detector.predict(drifted[200:])
    detector.calibrate(drifted[:200])
    assert np.mean(before == -1) > 0.5 and np.mean(detector.predict(drifted[200:]) == -1) < 0.15
    assert len(detector.calibration_.scores) == 200
    assert np.array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)


# --- suspect training data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_anomalies_in_the_training_data_are_found(contamination):
    rows = normal_rows(300)
    rows[:30] += np.random.default_rng(0).normal(size=(30, 6)) * 3
    detector = small(contamination=contamination)
    labels = detector.fit_predict(rows)
    assert 0.07 < detector.contamination_ < 0.16
    assert np.mean(labels[:30] == -1) > 0.85
    assert np.mean(labels[30:] == -1) < 0.06


def test_clean_training_data_are_hardly_thought_contaminated():
    detector = small(contamination="auto").fit(normal_rows(300))
    assert detector.contamination_ < 0.03


# --- mixed columns, and what was not there in training -----------------------------------------------------------


def test_a_missing_cell_adds_nothing():
    table = mixed_table(200, seed=1).dropna()
    without = table.copy()
    without["age"] = np.nan
    shift = np.median(of_table().anomaly_score(without)) - np.median(of_table().anomaly_score(table))
    assert shift < 1.5
    shares = [explanation.shares["age"] for explanation in of_table().explain(without[:20])]
    assert max(shares) == 0


def test_a_category_never_seen_is_strange_and_named():
    table = mixed_table(200, seed=2).dropna()[:20]
    paris = table.assign(city="Paris")
    detector = of_table()
    assert (detector.anomaly_score(paris) > detector.anomaly_score(table)).all()
    assert "city a value never seen, expected" in detector.explain(paris)[0].sentence


def test_far_out_of_range_is_stranger_than_a_little():
    table = mixed_table(200, seed=3).dropna()[:1]
    scores = of_table().anomaly_score(pandas.concat([table.assign(income=income) for income in (4e3, 2e4, 1e6, 1e9)]))
    assert (np.diff(scores) > 0).all()


@pytest.mark.parametrize("value", [1e7, 1e19, 1e38, 1e300, -1e300])
@pytest.mark.parametrize("column", [0, 3])
def test_a_value_however_far_out_has_a_score_and_is_flagged(value, column):
    row = normal_rows(1, seed=12)
    row[0, column] = value
    score = of_rows().anomaly_score(row)[0]
    assert np.isfinite(score) and of_rows().scorer()(row[0]) == pytest.approx(score)
    assert of_rows().predict(row)[0] == -1
    assert np.isfinite(of_rows().reconstruction_error(row)).all()
    assert of_rows().explain(row)[0].sentence.startswith(f"x{column} ")


@pytest.mark.parametrize("factor", [1e300, 1e-300])
def test_values_beyond_double_precision_are_refused_by_column(factor):
    rows = normal_rows(50)
    rows[:, 2] *= factor
    with pytest.raises(DataError, match=r"column 2 .* lies beyond double precision; measure it in another unit"):
        small().fit(rows)


def test_gaps_do_not_hide_a_strange_cell_and_an_empty_row_is_a_usual_one():
    detector = of_table()
    strange = mixed_table(200, seed=3).dropna()[:1].assign(income=1e6)
    for gone in (["age"], ["city"], ["age", "city"]):
        assert detector.predict(strange.assign(**dict.fromkeys(gone, None)).astype(strange.dtypes))[0] == -1
    empty = strange.assign(age=np.nan, city=None, income=np.nan).astype(strange.dtypes)
    assert detector.anomaly_score(empty)[0] == 0 and detector.predict(empty)[0] == 1
    assert detector.explain(empty)[0].sentence.startswith("holds no value")


def test_new_columns_of_files_are_left_aside_and_missing_ones_are_an_error(tmp_path):
    table = mixed_table(50, seed=4)
    detector = of_table()
    table.assign(new=1)[["new", "income", "city", "age"]].to_parquet(tmp_path / "wide.parquet")
    assert np.array_equal(detector.anomaly_score(tmp_path / "wide.parquet"), detector.anomaly_score(table))
    table.drop(columns="income").to_parquet(tmp_path / "narrow.parquet")
    for lacking in (table.drop(columns="income"), tmp_path / "narrow.parquet"):
        with pytest.raises(DataError, match="income"):
            detector.anomaly_score(lacking)


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        (normal_rows(3)[:, :5], "5 features"),
        (normal_rows(0), "0 sample"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_sentence(records, sentence):
    with pytest.raises(DataError, match=sentence):
        of_rows().anomaly_score(records)


def test_a_change_in_a_constant_column_is_strange():
    rows = np.column_stack([normal_rows(200), np.full(200, 5.0)])
    changed = rows[:1] + np.array([0, 0, 0, 0, 0, 0, 2])
    assert small().fit(rows).predict(changed)[0] == -1


# --- why ---------------------------------------------------------------------------------------------------------


def test_an_explanation_names_the_cell_its_value_and_what_was_expected():
    row = normal_rows(1, seed=10)
    strange = row + np.array([0, 0, 6, 0, 0, 0])
    why = of_rows().explain(strange)[0]
    assert why.flagged and next(iter(why.shares)) == "x2"
    assert sum(why.shares.values()) == pytest.approx(1, abs=1e-5)
    assert abs(why.expected["x2"] - row[0, 2]) < 1.5
    assert why.sentence.startswith(f"x2 {strange[0, 2]:.4g}, expected")


def test_explanations_of_tables_are_in_the_tables_own_units():
    table = mixed_table(200, seed=5).dropna()[:1].assign(city="Wien", age=40.0, income=12000.0)
    why = of_table().explain(table)[0]
    assert why.flagged
    assert isinstance(why.expected["income"], float) and why.expected["city"] in ("Graz", "Linz", "Wien")
    assert "income 1.2e+04, expected" in why.sentence


# --- pictures ----------------------------------------------------------------------------------------------------


def test_small_pictures_are_judged_and_have_heat_maps():
    digits = load_digits()
    ones, others = digits.images[digits.target == 1], digits.images[digits.target == 8]
    detector = Detector(steps=150, false_alarm_rate=0.05, random_state=0).fit(ones[:120])
    scores = detector.anomaly_score(np.concatenate([ones[120:], others]))
    assert roc_auc_score(np.repeat([0, 1], [len(ones) - 120, len(others)]), scores) > 0.9
    assert [heat.shape for heat in detector.heat_maps(others[:2])] == [(8, 8), (8, 8)]
    with pytest.raises(ParameterError, match="explain is for rows"):
        detector.explain(others)
    with pytest.raises(DataError, match="of 8x8 pixels"):
        detector.anomaly_score(np.zeros((2, 9, 9)))


def test_a_detector_of_pictures_keeps_its_scores_in_a_file(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (40, 40 + 4 * (place % 3)), dtype=np.uint8) for place in range(12)]
    detector = Detector(steps=10, false_alarm_rate=0.2, random_state=0).fit(pictures)
    detector.save(tmp_path / "model.safetensors")
    again = refold.load(tmp_path / "model.safetensors")
    assert np.array_equal(again.anomaly_score(pictures[:3]), detector.anomaly_score(pictures[:3]))
    with pytest.raises(ParameterError, match="heat maps are for pictures"):
        next(of_rows().heat_maps(normal_rows(3)))


# --- files and large data ----------------------------------------------------------------------------------------


def test_data_on_disk_are_learned_and_judged_part_by_part(tmp_path):
    np.save(tmp_path / "rows.npy", normal_rows(20_000).astype(np.float32))
    whole = small(steps=40).fit(tmp_path / "rows.npy")
    streamed = small(steps=40, max_memory="200kB").fit(tmp_path / "rows.npy")
    assert np.array_equal(whole.anomaly_score(normal_rows(50)), streamed.anomaly_score(normal_rows(50)))
    parts = list(streamed.score_chunks(tmp_path / "rows.npy"))
    assert len(parts) > 1
    assert np.allclose(np.concatenate(parts), whole.anomaly_score(tmp_path / "rows.npy"), atol=1e-4)


@pytest.mark.parametrize("damage", ["judge.typical", "calibration.scores"])
def test_damaged_files_are_refused_in_one_sentence(tmp_path, damage):
    from refold.files import ModelFile, read_model_file, write_model_file

    of_rows().save(tmp_path / "model.safetensors")
    file = read_model_file(tmp_path / "model.safetensors")
    tensors = {name: tensor for name, tensor in file.tensors.items() if name != damage}
    write_model_file(ModelFile(file.kind, file.header, tensors), tmp_path / "broken.safetensors")
    with pytest.raises(ModelFileError) as caught:
        refold.load(tmp_path / "broken.safetensors")
    assert "\n" not in str(caught.value)


def test_onnx_gives_the_same_scores_and_flags(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    detector, rows = of_rows(), normal_rows(40, seed=11)
    rows[:5] += 4
    report = detector.export(tmp_path / "model.onnx")
    assert report.largest_difference < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    score, p_value, flagged = session.run(None, {"records": rows})
    assert np.allclose(score, detector.anomaly_score(rows), atol=1e-4)
    assert np.allclose(p_value, detector.p_value(rows), atol=0.01)
    assert np.array_equal(flagged, detector.predict(rows) == -1)
