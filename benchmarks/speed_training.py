"""The rows about training: one network, several libraries, rates and errors beside each other."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from statistics import median

from speed_running import (
    Measurement,
    Outcome,
    Size,
    alternate,
    header,
    middle,
    range_of,
    run_child,
    table_line,
    verdict,
)

EQUAL_ERROR, VALIDATION_SHARE = 1.03, 0.05
PEAK_ROUNDS = 3
SMALL_PART = 6  # slow peers train on everything in few rounds, and on one in so many records in the others
FORWARD_AND_BACK = 3  # a backward pass costs two forward ones


@dataclass(frozen=True)
class Contestant:
    """Who trains: as is known to the script of peers, as is shown, and in how many rounds (of them, in full).

    `target` is how many times as fast refold must be; where the processor has no AMX, `target_without_amx`.
    """

    peer: str
    label: str
    target: float | None = None
    target_without_amx: float | None = None
    rounds: int | None = None
    full_rounds: int | None = None


@dataclass(frozen=True)
class Network:
    """One network, and who trains it on how many pictures; least share of the peak that refold must attain."""

    task: str
    title: str
    records: int
    contestants: tuple[Contestant, ...]
    share_target: float | None = None


SAME_LAYERS = Contestant("loop", "DataLoader loop, the same layers", 3.0, target_without_amx=1.0)
OURS = Contestant("refold", "**refold**, trained as the peers")
OURS_AS_IT_COMES = Contestant("refold-as-it-comes", "refold, its own defaults", rounds=2)
NETWORKS = (
    Network(
        "dense",
        "Dense 784-512-256-64-3 and back on MNIST",
        60_000,
        (
            replace(OURS, full_rounds=3),
            replace(OURS_AS_IT_COMES, full_rounds=1),
            Contestant("loop", "DataLoader loop", 2.0, full_rounds=3),
            Contestant("keras", "Keras, torch backend", 6.0, full_rounds=1),
            Contestant("pyod", "PyOD AutoEncoder (ReLU on the code)", 10.0, full_rounds=1),
            Contestant("skorch", "skorch NeuralNet", full_rounds=1),
            Contestant("pythae", "pythae AE", full_rounds=1),
            Contestant("sklearn", "MLPRegressor (ReLU on the code)", full_rounds=1),
        ),
    ),
    Network(
        "one-layer",
        "One layer each way, 784-3-784, on MNIST",
        60_000,
        (OURS, OURS_AS_IT_COMES, Contestant("loop", "DataLoader loop", 1.8)),
    ),
    Network(
        "conv28",
        "Convolutional, 28x28, on MNIST",
        8_000,
        (OURS, replace(OURS_AS_IT_COMES, rounds=1), SAME_LAYERS),
    ),
    Network(
        "conv64",
        "Convolutional, 64x64 in colour, on patches of photos",
        4_000,
        (OURS, replace(OURS_AS_IT_COMES, rounds=1), SAME_LAYERS),
        share_target=0.25,
    ),
)
ABOUT = (
    "ReLU between dense layers, linear code and output, Adam at 1e-3, batches of 256, pixels of 0 to 1. A rate is "
    "the samples a second of all epochs but the first. Nobody validates, except refold with its own defaults: a "
    "tenth is held out and validated in every epoch, within its rate. Convolutions: refold's own layers (SiLU, "
    "GroupNorm) for both, from the same first weights. Shares are 3 x forward operations x rate, of the fastest "
    "large matrix product or convolution, the best of three rounds in turn with the peers. Rounds marked * train on "
    f"1/{SMALL_PART} of the records, for the rate alone."
)
TRAINING_HEADER = (
    "who", "samples/s", "slowest to fastest", "refold is faster by", "target", "met", "test MSE", "of float32 peak",
    "of its type's peak", "type, threads", "rounds",
)  # fmt: skip


def about_training(size: Size) -> Iterator[str]:
    """Yield how the rows about training are measured."""
    versions = {package: version(package) for package in ("keras", "pyod", "pythae", "skorch", "scikit-learn")}
    yield from ("### Speed: how it is measured", "")
    yield f"{ABOUT} Peers: {', '.join(f'{name} {found}' for name, found in versions.items())}."
    yield ""


def training_lines(network: Network, size: Size) -> Iterator[str]:
    """Yield the table of one network and what it says of its targets."""
    records = min(network.records, size.training)
    measurements = {one.peer: _training_of(network, one, size, records) for one in network.contestants}
    outcomes = alternate({"peak": _measured_peak, **measurements}, size.repetitions)
    peak = _peak(outcomes["peak"])
    yield f"### {network.title}"
    yield from ("", f"{records:,} records, {size.epochs} epochs. {_peak_text(peak)}", "")
    yield from header(*TRAINING_HEADER)
    for contestant in network.contestants:
        yield _training_line(contestant, outcomes, peak)
    yield ""
    yield from (f"- {line}" for line in _training_verdicts(network, outcomes, peak))
    yield ""


def _training_of(network: Network, contestant: Contestant, size: Size, records: int) -> Measurement:
    def measure(number: int) -> Outcome:
        if contestant.rounds is not None and number >= contestant.rounds:
            return {}
        full = contestant.full_rounds is None or number < contestant.full_rounds
        count = records if full else records // SMALL_PART
        arguments = ("--records", count, "--epochs", size.epochs, "--seed", number)
        outcome = run_child("speed_peers.py", network.task, contestant.peer, *arguments)
        return outcome if full else {**outcome, "error": None}

    return measure


def _measured_peak(number: int) -> Outcome:
    return run_child("speed_peak.py") if number < PEAK_ROUNDS else {}


def _peak(outcomes: list[Outcome]) -> Outcome:
    measured = [outcome for outcome in outcomes if outcome]
    types = {name: max(outcome[name] for outcome in measured) for name in ("float32", "bfloat16")}
    return {**types, "amx": measured[0]["amx"], "threads": measured[0]["threads"]}


def _peak_text(peak: Outcome) -> str:
    return (
        f"Peak of the machine with {peak['threads']} threads: {peak['float32'] / 1e9:.0f} GFLOP/s in float32, "
        f"{peak['bfloat16'] / 1e9:.0f} in bfloat16, AMX {'present' if peak['amx'] else 'absent'}."
    )


def _training_line(contestant: Contestant, outcomes: dict[str, list[Outcome]], peak: Outcome) -> str:
    own = [outcome for outcome in outcomes[contestant.peer] if outcome]
    rates = [outcome["rate"] for outcome in own]
    error = middle(own, "error")
    part = sum(outcome["error"] is None for outcome in own)
    cells = [contestant.label, *range_of(rates)]
    cells += _comparison(contestant, outcomes, peak)
    cells += ["-" if error is None else f"{error:.5f}", *(f"{share:.0%}" for share in _shares(own, outcomes, peak))]
    cells += [f"{own[0]['type']}, {own[0]['threads']}", f"{len(own) - part}" + (f" + {part}*" if part else "")]
    return table_line(*cells)


def _comparison(contestant: Contestant, outcomes: dict[str, list[Outcome]], peak: Outcome) -> list[str]:
    if contestant.peer.startswith("refold"):
        return ["", "", ""]
    times = middle(outcomes["refold"], "rate") / middle(outcomes[contestant.peer], "rate")
    target = _target(contestant, peak)
    if target is None:
        return [f"{times:.2f}x", "-", "-"]
    return [f"**{times:.2f}x**", f"{target:g}x", verdict(times, target)]


def _target(contestant: Contestant, peak: Outcome) -> float | None:
    without = contestant.target_without_amx
    return contestant.target if peak["amx"] or without is None else without


def _shares(own: list[Outcome], outcomes: dict[str, list[Outcome]], peak: Outcome) -> tuple[float, float]:
    """Return the attained shares of the float32 peak and of the peak of the type that is multiplied in."""
    operations = next(outcome["operations"] for outcome in outcomes["refold"] if outcome)
    attained = FORWARD_AND_BACK * operations * median(outcome["rate"] for outcome in own)
    return attained / peak["float32"], attained / peak[own[0]["type"]]


def _training_verdicts(network: Network, outcomes: dict[str, list[Outcome]], peak: Outcome) -> Iterator[str]:
    ours, loop = (middle(outcomes[name], "error") for name in ("refold", "loop"))
    met = "yes" if ours <= EQUAL_ERROR * loop else "no"
    yield f"error within 3 % of the DataLoader loop's, or below: {met} ({ours / loop - 1:+.1%})"
    spent = _validation_share(outcomes["refold-as-it-comes"])
    met = "yes" if spent < VALIDATION_SHARE else "no"
    yield f"validation takes under 5 % of an epoch when a tenth is held out: {met} ({spent:.1%})"
    if network.share_target is not None:
        share = _shares([outcome for outcome in outcomes["refold"] if outcome], outcomes, peak)[1]
        yield (
            f"at least {network.share_target:.0%} of the peak of its own type: "
            f"{verdict(share, network.share_target)} ({share:.0%})"
        )


def _validation_share(outcomes: list[Outcome]) -> float:
    """Return the share of steady epochs that validation took."""
    shares = [sum(outcome["validation_seconds"][1:]) / sum(outcome["seconds"][1:]) for outcome in outcomes if outcome]
    return float(median(shares))
