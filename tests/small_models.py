"""Small models as people have them outside the libraries: eager, loaded from files, graded."""

import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F  # noqa: N812
import torchvision_operators  # noqa: F401 (onnx2torch imports torchvision)
from torch import Tensor, nn

from foveal.core import FovealWarning
from foveal.models import load

CLASSES = 3


class _SelfAttention(nn.Module):
    """Query, key and value of their own, as Hugging Face writes them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            part(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        scores = torch.matmul(query, key.transpose(-1, -2)) * query.shape[-1] ** -0.5
        weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
        weights = F.dropout(weights, p=0.1, training=self.training)
        return self.output(torch.matmul(weights, value).transpose(1, 2).contiguous().flatten(2))


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = _SelfAttention(width, heads)
        self.layernorm_before, self.layernorm_after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.layernorm_before(tokens))
        return tokens + self.mlp(self.layernorm_after(tokens))


class HuggingFaceViT(nn.Module):
    """A class token, eager attention, and logits under a name."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, 24, 8, stride=8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 24))
        self.position_embeddings = nn.Parameter(torch.randn(1, 17, 24))
        self.encoder = nn.Sequential(_Layer(24, 3), _Layer(24, 3))
        self.layernorm = nn.LayerNorm(24)
        self.classifier = nn.Linear(24, CLASSES)

    def forward(self, pixel_values: Tensor) -> dict[str, Tensor]:
        patches = self.projection(pixel_values).flatten(2).transpose(1, 2)
        token = self.cls_token.expand(len(patches), -1, -1)
        tokens = torch.cat([token, patches], dim=1) + self.position_embeddings
        return {"logits": self.classifier(self.layernorm(self.encoder(tokens))[:, 0])}


class Small(nn.Module):
    """Two convolutions, a mean and a linear layer; no hook of its own hinders saving it."""

    def __init__(self, outputs: int = CLASSES) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3)
        )
        self.head = nn.Linear(8, outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images).relu().mean(dim=(2, 3)))


class Coral(nn.Module):
    """One slope for all thresholds: logits of grade >= 1, 2 and 3."""

    def __init__(self) -> None:
        super().__init__()
        self.grade = Small(outputs=1)
        self.thresholds = nn.Parameter(torch.tensor([0.5, 0.0, -0.5]))

    def forward(self, images: Tensor) -> Tensor:
        return self.grade(images) + self.thresholds


def volume_regressor() -> nn.Module:
    """One number for a volume, such as an axial length in millimetres."""
    return nn.Sequential(
        nn.Conv3d(1, 6, 3, stride=2), nn.BatchNorm3d(6), nn.ReLU(), nn.Conv3d(6, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 1),
    )  # fmt: skip


def _loaded(loader: str, weights: Path) -> nn.Module:
    """Through the model card, as people load such files."""
    card = {
        "name": "tiny",
        "loader": loader,
        "weights": str(weights),
        "task": "multiclass",
        "classes": ["CNV", "DME", "NORMAL"],
        "input": {"size": [32, 32], "prepare": [{"step": "resize", "aspect": "stretch"}]},
    }
    return load(card).module


def save_keras(file: Path) -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    features = layers.Conv2D(6, 3, strides=2, activation="relu")(image)
    features = layers.BatchNormalization()(features)
    features = layers.Conv2D(8, 3, activation="relu")(features)
    features = layers.GlobalAveragePooling2D()(features)
    model = keras.Model(image, layers.Dense(CLASSES, activation="softmax")(features))
    with warnings.catch_warnings():
        # Keras 3.15 hands its variables to NumPy without the argument that NumPy 2 asks for.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        model.save(file)


def keras_model() -> nn.Module:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        warnings.filterwarnings("ignore", "the card of", FovealWarning)
        save_keras(Path(folder) / "tiny.keras")
        return _loaded("keras", Path(folder) / "tiny.keras")


def save_onnx(file: Path, opset: int) -> None:
    """onnx2torch takes the mean over rows and columns as it was before opset 18."""
    with warnings.catch_warnings():
        # torch's exporter up to opset 17 announces that it will go.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            Small().eval(), (torch.rand(1, 3, 32, 32),), str(file), opset_version=opset,
            dynamo=False, input_names=["image"], dynamic_axes={"image": {0: "batch"}},
        )  # fmt: skip


def onnx_model(opset: int) -> nn.Module:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FovealWarning)
        file = Path(folder) / "tiny.onnx"
        save_onnx(file, opset)
        return _loaded("onnx", file)
