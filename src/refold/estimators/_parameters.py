"""The parameters of every estimator: declared here once, without importing anything heavy."""

import os
from dataclasses import dataclass
from typing import Any, Literal

from refold._parameters import (
    anything,
    byte_size,
    choice,
    declare,
    flag,
    height_and_width,
    is_iterable,
    low_and_high,
    nothing,
    path,
    real,
    text,
    whole,
    whole_numbers,
)

_ACTIVATIONS = choice("elu", "gelu", "identity", "leaky_relu", "relu", "selu", "sigmoid", "silu", "softplus", "tanh")
_MODULE = nothing() | anything("a torch.nn.Module", callable)


@dataclass(kw_only=True, eq=False, repr=False)
class AutoencoderParameters:
    """Parameters of `Autoencoder`."""

    latent_dim: int | Literal["auto"] = declare(
        3,
        choice("auto") | whole(1),
        "How many numbers the code has; 'auto' takes the smallest number that is enough (see code_sizes), which is "
        "measured first.",
    )
    represent: float = declare(
        0.95,
        real(0, 1, above=True),
        "With latent_dim='auto': the share of the variance that is enough, above 0 and at most 1.",
    )
    net: Literal["auto", "dense", "conv"] = declare(
        "auto",
        choice("auto", "dense", "conv"),
        "Kind of network: dense layers, or convolutions for pictures; 'auto' takes convolutions for pictures whose "
        "shorter side has at least 8 pixels; for small ones whose codes have places (keep=) two of them before dense "
        "layers, and a dense decoder.",
    )
    hidden: tuple[int, ...] | Literal["auto"] = declare(
        "auto",
        choice("auto") | whole_numbers(1),
        "Layers between input and code, mirrored between code and output: units of a dense network, channels of a "
        "convolutional one, which halves the picture at each; () connects input and code directly.",
    )
    activation: str = declare("silu", _ACTIVATIONS, "Activation of the hidden layers.")
    latent_activation: str = declare("identity", _ACTIVATIONS, "Activation of the code.")
    output_activation: str = declare(
        "auto",
        choice("auto") | _ACTIVATIONS,
        "Activation of the output; 'auto' is 'sigmoid' for loss='cross_entropy' and for pictures with much black and "
        "white, such as digits, and 'identity' elsewhere.",
    )
    normalise: bool = declare(True, flag(), "Layer normalisation in the hidden layers.")
    shortcut: bool | Literal["auto"] = declare(
        "auto",
        choice("auto") | flag(),
        "A straight linear path beside the hidden layers, which starts as PCA so that the network has only to learn "
        "what PCA cannot; 'auto' has one where the output is linear and its weights are not too many.",
    )
    encoder: Any = declare(
        None,
        _MODULE,
        "Your own encoder instead of a built one: from scaled records, (B, C, H, W) or (B, features), to "
        "(B, latent_dim). It is copied, and not stored in the model file: pass it again to refold.load.",
        on_command_line=False,
    )
    decoder: Any = declare(
        None,
        _MODULE,
        "Your own decoder: from (B, latent_dim) to scaled records.",
        on_command_line=False,
    )
    loss: Literal["squared", "absolute", "cross_entropy"] = declare(
        "squared",
        choice("squared", "absolute", "cross_entropy"),
        "Error of the numbers among the features; category columns always take the log-loss. 'cross_entropy' needs "
        "features in 0 to 1.",
    )
    penalty: Any = declare(
        None,
        nothing() | text("a text such as 'variational(beta=1)'") | anything("a Penalty", callable),
        "What is asked of the code besides: 'variational(beta)', 'sparse(weight)', 'contractive(weight)', joined "
        "with +.",
    )
    keep: Any = declare(
        None,
        nothing() | text("a text such as 'neighbours'") | anything("a Keep", lambda value: hasattr(value, "weight")),
        "What of the data's shape the code keeps: 'neighbours(weight)', so that records that are neighbours get "
        "codes that are neighbours, as in UMAP's maps (a code may jump from group to group: a network that is not "
        "your own chooses it among candidates); or 'distances(weight)', those along the data, so that a "
        "rolled-up sheet is laid out flat; and 'smooth(weight)', so that a step through the code changes what it "
        "stands for equally much everywhere and in all directions. Joined with +; the weights are against the "
        "rebuilding, and None asks for that alone.",
    )
    corruption: Any = declare(
        None,
        nothing() | text("a text such as 'gaussian(0.2)'") | anything("a Corruption", callable),
        "What happens to a record before the encoder sees it, so that the network learns to undo it: "
        "'gaussian(share)' with 0.20 to 0.25 of the value range as the usual strength, 'masking(share)', "
        "'salt_and_pepper(share)', 'feature_swap(share)', joined with +.",
    )
    scaling: Literal["auto", "standard", "range", "none"] = declare(
        "auto",
        choice("auto", "standard", "range", "none"),
        "How raw numbers become features, inside the network: 'standard' (each column to mean 0, deviation 1), "
        "'range' (0 to 1), 'none'; 'auto' is 'range' for pictures and for loss='cross_entropy', 'standard' for rows.",
    )
    value_range: tuple[float, float] | None = declare(
        None,
        nothing() | low_and_high(),
        "Smallest and largest value that can occur, where that is known; scales by 'range', and values outside are "
        "an error.",
    )
    missing: Literal["auto", "mask", "error"] = declare(
        "auto",
        choice("auto", "mask", "error"),
        "Missing cells (NaN, null): 'mask' counts no error for them and rebuilds them, 'error' refuses them; 'auto' "
        "masks in tables and refuses in arrays.",
    )
    image_size: tuple[int, int] | None = declare(
        None,
        nothing() | height_and_width(),
        "Resize the pictures of folders and files to this height and width; needed where they differ in size.",
    )
    learning_rate: float = declare(2e-3, real(0, above=True), "Highest learning rate.")
    optimizer: Literal["auto", "adamw", "muon"] = declare(
        "auto",
        choice("auto", "adamw", "muon"),
        "'muon' moves the matrices between hidden layers along orthogonalised gradients, which often learns more "
        "in the same time on large data; 'adamw' suits everything; 'auto' is 'muon' where codes have places.",
    )
    schedule: Literal["cosine", "linear", "constant"] = declare(
        "cosine", choice("cosine", "linear", "constant"), "How the learning rate falls after a short warm-up."
    )
    weight_decay: float = declare(0.3, real(0), "Weight decay; biases are not decayed.")
    gradient_clip: float | None = declare(
        1.0, nothing() | real(0, above=True), "Largest norm of the gradient of all weights together."
    )
    weight_averaging: float = declare(
        0.99,
        real(0, 1, below=True),
        "Decay of a moving average of the weights, which is validated and kept instead of them; 0 keeps them.",
    )
    batch_size: int | Literal["auto"] = declare(
        "auto",
        choice("auto") | whole(1),
        "Records per step; 'auto' is 32 to 256 by the size of the data, less for large pictures.",
    )
    max_epochs: int | Literal["auto"] = declare(
        "auto",
        choice("auto") | whole(1),
        "Most passes over the data; 'auto' aims at 10,000 steps, or as many as take a minute or two, from 20 to 400 "
        "passes.",
    )
    early_stopping: bool = declare(
        True,
        flag(),
        "Stop when the error on held-out records has not improved for `patience` epochs; where neighbours are kept "
        "and places have not settled yet, they do so then, and training goes on.",
    )
    patience: int = declare(20, whole(1), "Epochs to wait for an improvement. Used when early_stopping is True.")
    validation_fraction: float = declare(
        0.1,
        real(0, 1, below=True),
        "Share of the records held out of training to measure and to choose the best weights; 0 holds none out.",
    )
    warm_start: bool = declare(False, flag(), "Let `fit` go on from the weights of the last `fit`.")
    device: str = declare("auto", text("'auto' or a torch device such as 'cpu', 'cuda', 'mps'"), "Where to compute.")
    precision: Literal["auto", "float32", "bfloat16"] = declare(
        "auto",
        choice("auto", "float32", "bfloat16"),
        "Numbers in which matrices are multiplied in training; 'auto' is bfloat16 where the machine is faster at it "
        "and the network is large. Everything after training is computed in float32.",
    )
    threads: int | Literal["auto"] = declare(
        "auto",
        choice("auto") | whole(1),
        "Threads of the processor to train with; 'auto' is one for small work, and for large work whichever of one "
        "and all is faster in a short trial. Give a number for weights that are the same bit for bit however busy "
        "the machine is.",
    )
    max_memory: int | str = declare(
        "auto",
        choice("auto") | byte_size(),
        "Most memory for records, in bytes or as '900MB': files that need more are read from disk again and again "
        "instead of being held; 'auto' is half of what is free.",
    )
    checkpoint: str | os.PathLike[str] | None = declare(
        None,
        nothing() | path("the path of a file"),
        "Where `fit` keeps an unfinished training, so that the same `fit` on the same data goes on from there if the "
        "process is killed, to the same weights bit for bit. It is still there after `fit`; remove it to train anew "
        "(refold fit does so once the model is saved).",
    )
    checkpoint_seconds: float = declare(
        60.0, real(0), "Seconds between two checkpoints; more where writing one takes over 2 % of the time."
    )
    track: Any = declare(
        None,
        nothing() | text("a text such as 'run.jsonl'") | anything("listeners", is_iterable),
        "Who is told of every epoch: 'FILE.jsonl', 'tensorboard:FOLDER', 'mlflow:EXPERIMENT', joined with a comma, "
        "or a list of your own listeners (see refold.train.Listener).",
    )
    random_state: Any = declare(
        None,
        nothing() | whole(0, 2**32 - 1) | anything("a numpy RandomState", lambda value: hasattr(value, "randint")),
        "Seed: the same seed gives the same weights on the same machine with the same `threads`.",
    )
    verbose: bool | int = declare(0, flag() | whole(0), "1 shows a progress bar on standard error.")


@dataclass(kw_only=True, eq=False, repr=False)
class DetectorParameters:
    """Parameters of `Detector`."""

    false_alarm_rate: float = declare(
        0.01,
        real(0, 1, above=True, below=True),
        "Share of normal records that may be flagged. The threshold that keeps it comes from scores of normal "
        "records that were not learned from.",
    )
    threshold: float | None = declare(
        None, nothing() | real(), "A threshold of your own for `anomaly_score`, instead of the promised one."
    )
    contamination: float | Literal["auto"] | None = declare(
        None,
        nothing() | choice("auto") | real(0, 0.5, above=True),
        "Share of anomalies in the training data where these are suspect; 'auto' estimates it. The strangest records "
        "are then left out of training. None: the training data are normal.",
    )
    members: int = declare(
        6,
        whole(2, 64),
        "Autoencoders of the ensemble; each learns from four fifths of the rows, or from all but one block of time.",
    )
    width: int | Literal["auto"] = declare(
        "auto",
        choice("auto") | whole(1, 4096),
        "Units of the hidden layers of each autoencoder, or channels for series, and numbers of its code; 'auto' is "
        "64 for rows, 24 for series.",
    )
    steps: int | Literal["auto"] = declare(
        "auto",
        choice("auto") | whole(1),
        "Training steps; 'auto' is 500 for rows, fewer for wide ones, 200 for series.",
    )
    references: int | Literal["auto"] = declare(
        "auto",
        choice("auto") | whole(2),
        "Normal records that others are compared with and that are kept in the model; 'auto' is at most 10,000.",
    )
    window: int | Literal["auto"] | None = declare(
        None,
        nothing() | choice("auto") | whole(2, 4096),
        "For samples in the order of time: how many are looked at together; 'auto' is a period of the series, or 10. "
        "None: every record stands for itself.",
    )
    time: str | None = declare(
        None, nothing() | text("a column's name"), "Column of times, for series; without it samples are regular."
    )
    group: str | None = declare(
        None, nothing() | text("a column's name"), "Column of machines or sensors, for series: each has its own."
    )
    missing: Literal["auto", "mask", "error"] = declare(
        "auto",
        choice("auto", "mask", "error"),
        "Missing cells (NaN, null): 'mask' lets them add nothing to the score, 'error' refuses them; 'auto' masks in "
        "tables and refuses in arrays.",
    )
    features: Any = declare(
        None,
        _MODULE,
        "Your own frozen network for pictures, from (B, channels, H, W) in 0 to 1 to feature maps "
        "(B, features, h, w); it is not stored in the model file: pass it again to refold.load.",
        on_command_line=False,
    )
    image_size: tuple[int, int] | None = declare(
        None,
        nothing() | height_and_width(),
        "Resize the pictures of folders and files to this height and width; without it each keeps its own.",
    )
    device: str = declare("auto", text("'auto' or a torch device such as 'cpu', 'cuda', 'mps'"), "Where to compute.")
    threads: int | Literal["auto"] = declare(
        "auto", choice("auto") | whole(1), "Threads of the processor to train with; 'auto' is one for rows."
    )
    max_memory: int | str = declare(
        "auto",
        choice("auto") | byte_size(),
        "Most memory for records, in bytes or as '900MB': files that need more are read part by part; 'auto' is half "
        "of what is free.",
    )
    random_state: Any = declare(
        None,
        nothing() | whole(0, 2**32 - 1) | anything("a numpy RandomState", lambda value: hasattr(value, "randint")),
        "Seed: the same seed gives the same scores on the same machine.",
    )
    verbose: bool | int = declare(0, flag() | whole(0), "1 shows a progress bar on standard error.")


@dataclass(kw_only=True, eq=False, repr=False)
class CameraParameters:
    """Parameters of `CameraDetector`."""

    false_alarms_per_day: float = declare(
        1.0,
        real(0, above=True),
        "False alarms a day that are bearable. Kept as soon as some days of normal frames are known; before that the "
        "threshold has a margin found on other cameras.",
    )
    every: float | None = declare(
        None,
        nothing() | real(0, above=True),
        "Seconds between frames. None takes all of a folder and of a short video, one a minute of a camera.",
    )
    mask: str | None = declare(
        None,
        nothing() | text("a picture file"),
        "A picture of the frame's proportions that is black where nothing shall be looked at: roads, time stamps. "
        "Places that always change are found by themselves.",
    )


@dataclass(kw_only=True, eq=False, repr=False)
class RestorerParameters:
    """Parameters of `Restorer`."""

    corruption: Any = declare(
        "gaussian(0.2)",
        text("a text such as 'gaussian(0.2)'") | anything("a Corruption", callable),
        "The damage to undo: 'gaussian(share)' with 0.20 to 0.25 of the value range as the usual strength (every "
        "strength up to a quarter more is learned too), 'scratches', 'jpeg(quality)' and more, joined with + for all "
        "or | for one of them; 'grey' alone learns to give colours. Tables lose cells instead.",
    )
    widths: tuple[int, ...] = declare(
        (32, 64, 128), whole_numbers(1), "Channels of the network at half the scale, a quarter, and so on."
    )
    blocks: int = declare(2, whole(0, 16), "Residual blocks at each scale, on the way down and on the way up.")
    steps: int | Literal["auto"] = declare(
        "auto", choice("auto") | whole(1), "Training steps; 'auto' is 2,000, for tables 500."
    )
    batch_size: int = declare(16, whole(1), "Crops in a step.")
    crop: int = declare(
        64,
        whole(8, 4096),
        "Pixels of a crop's side. Colours are learned from pictures made 160 to 208 pixels long: 96 is better there.",
    )
    learning_rate: float = declare(
        1e-3,
        real(0, above=True),
        "Of the first and the last layer, by AdamW; four times as much for the others, by Muon. Constant for half of "
        "the steps, then half a cosine.",
    )
    checkpoint: str | None = declare(
        None,
        nothing() | path("a path"),
        "File in which an unfinished training is kept; the same call goes on from it to the same weights.",
    )
    device: str = declare("auto", text("'auto' or a torch device such as 'cpu', 'cuda', 'mps'"), "Where to compute.")
    threads: int | Literal["auto"] = declare(
        "auto",
        choice("auto") | whole(1),
        "Threads of the processor to train with; 'auto' is all of torch's, for tables one.",
    )
    random_state: Any = declare(
        None,
        nothing() | whole(0, 2**32 - 1),
        "Seed: the same seed gives the same weights on the same machine with the same `threads`.",
    )
    verbose: bool | int = declare(0, flag() | whole(0), "1 shows a progress bar on standard error.")


@dataclass(kw_only=True, eq=False, repr=False)
class CompressorParameters:
    """Parameters of `Compressor`."""

    max_error: float | str = declare(
        0.0,
        real(0) | text("a text such as '1e-3rel'"),
        "The largest error of any value: 0 gives back all bits; a number is in units of the data; '1e-3rel' is a "
        "share of the range from the smallest to the largest value, '1e-3pw' a share of each value.",
    )
    quality: float | None = declare(
        None,
        nothing() | real(0, 1, above=True, below=True),
        "Keep the code alone, without any promise about single values: the share of the variance that shall come "
        "back, such as 0.95. Not together with max_error.",
    )
    bytes_per_sample: float | None = declare(
        None,
        nothing() | real(0, above=True),
        "Keep the code alone, of as many bytes a record on average. Not together with max_error or quality.",
    )
    fill_value: float | Literal["auto"] | None = declare(
        "auto",
        choice("auto") | nothing() | real(),
        "A number that stands for nothing, such as 1e20 for land; 'auto' finds numbers that are there many times, "
        "far outside of all others. They come back as they are and never count as errors.",
    )
    max_epochs: int | Literal["auto"] = declare(
        "auto", choice("auto") | whole(1), "How often training goes over the data; 'auto' is a few minutes at most."
    )
    random_state: Any = declare(
        None, nothing() | whole(0, 2**32 - 1), "Seed: the same seed learns the same on the same machine."
    )
    verbose: bool | int = declare(0, flag() | whole(0), "1 shows a progress bar on standard error.")
