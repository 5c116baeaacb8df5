import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Encoder(nn.Module):
    def __init__(self, inputs: int, latent: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(inputs, 8),
            nn.ELU(),
            nn.Dropout(0.0),  # none while testing
        )
        self.mean, self.log_variance = nn.Linear(8, latent), nn.Linear(8, latent)

    def forward(self, x: Tensor) -> "tuple[Tensor, Tensor]":
        h = self.body(x)
        return self.mean(h), self.log_variance(h)


class VAE(nn.Module):
    """An autoencoder whose noise is an input, so that two of them can be compared."""

    encoder: "Encoder"

    def __init__(self, inputs: int = 6, latent: int = 2, *, encoder: "type[Encoder]" = Encoder):
        super().__init__()
        self.encoder = encoder(inputs, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 8), nn.Softplus(), nn.Linear(8, inputs), nn.Sigmoid()
        )

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        mean, log_variance = self.encoder(x)
        z = mean + torch.exp(0.5 * log_variance) * noise
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1)
        return F.mse_loss(self.decoder(z), x, reduction="none").sum(1) + divergence


def example() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return VAE(), (torch.rand(3, 6), torch.randn(3, 2))
