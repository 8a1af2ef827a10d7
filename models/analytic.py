"""Exact denoisers for Gaussian and Gaussian-mixture data, which many tests compare with.

Noisy data x = x0 + sigma * noise; D(x; sigma) = E[x0 | x]. Everything is computed in float64 and
returned in x's dtype. The interface is that of models/denoiser.py, with images of any shape.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class GaussianDenoiser(nn.Module):
    """Data N(mean, covariance), any dimension D = prod(image_shape).

    mean: a number or a tensor of the image's shape. Either std, the standard deviation in every
    direction, or covariance, a full matrix [D, D]. Labels are ignored (num_classes 0).
    """

    center: Tensor  # [D]
    values: Tensor  # [D], variances along the columns of basis
    basis: Tensor  # [D, D]

    def __init__(
        self,
        image_shape: Sequence[int],
        mean: Tensor | float = 0.0,
        std: float | None = None,
        covariance: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.image_shape = tuple(int(side) for side in image_shape)
        self.num_classes = 0
        size = math.prod(self.image_shape)
        if (std is None) == (covariance is None):
            raise ValueError("GaussianDenoiser: give std or covariance, one of the two")
        if std is not None:
            values = torch.full((size,), std, dtype=torch.float64) ** 2
            basis = torch.eye(size)
        else:
            covariance = torch.as_tensor(covariance, dtype=torch.float64)
            if covariance.shape != (size, size):
                raise ValueError(
                    f"covariance is {tuple(covariance.shape)}, the image has {size} values: "
                    f"pass a matrix [{size}, {size}]"
                )
            values, basis = torch.linalg.eigh(covariance)
        if not bool((values > 0).all()):
            raise ValueError("GaussianDenoiser: the variances must be above 0")
        center = torch.as_tensor(mean, dtype=torch.float64).expand(self.image_shape).reshape(-1)
        self.register_buffer("center", center.clone())
        self.register_buffer("values", values)
        self.register_buffer("basis", basis.to(torch.float64))
        self.sigma_data = float(values.mean().sqrt())

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """E[x0 | x]: mean + V/(V + sigma^2) (x - mean) along each eigenvector of variance V."""
        along = (x.flatten(1).double() - self.center) @ self.basis  # [B, D]
        share = self.values / (self.values + sigma.double()[:, None] ** 2)
        x0 = (along * share) @ self.basis.T + self.center
        return x0.view(x.shape).to(x.dtype)

    def score(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """Gradient of log p_sigma at x, from the density itself: -(C + sigma^2)^-1 (x - mean)."""
        along = (x.flatten(1).double() - self.center) @ self.basis
        slope = -along / (self.values + sigma.double()[:, None] ** 2)
        return (slope @ self.basis.T).view(x.shape).to(x.dtype)

    def log_prob(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p_sigma(x) [B], float64."""
        along = (x.flatten(1).double() - self.center) @ self.basis
        variance = self.values + sigma.double()[:, None] ** 2
        return -(along**2 / variance + torch.log(2 * math.pi * variance)).sum(1) / 2

    def flow(self, x: Tensor, sigma_from: float, sigma_to: float) -> Tensor:
        """Where the probability-flow ODE takes x from sigma_from to sigma_to, exactly."""
        along = (x.flatten(1).double() - self.center) @ self.basis
        ratio = ((self.values + sigma_to**2) / (self.values + sigma_from**2)).sqrt()
        return ((along * ratio) @ self.basis.T + self.center).view(x.shape).to(x.dtype)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Clean data, float64 [count, *image_shape]."""
        noise = torch.randn(count, len(self.center), generator=generator, dtype=torch.float64)
        data = (noise * self.values.cpu().sqrt()) @ self.basis.cpu().T + self.center.cpu()
        return data.view(count, *self.image_shape)


class GaussianMixtureDenoiser(nn.Module):
    """Data from a mixture of Gaussians with axis-aligned covariances, with or without labels.

    means [K, *image_shape]; std: a number, [K], or [K, *image_shape]; weights [K], positive,
    uniform by default; component_labels int64 [K] gives each component a class (several may share
    one). A label picks the components of its class; -1 or no labels: all of them.
    """

    centers: Tensor  # [K, D]
    variances: Tensor  # [K, D]
    log_weights: Tensor  # [K]
    classes: Tensor  # [K], -1 where there are no labels

    def __init__(
        self,
        means: Tensor,
        std: Tensor | float,
        weights: Tensor | Sequence[float] | None = None,
        component_labels: Tensor | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        means = torch.as_tensor(means, dtype=torch.float64)
        count, self.image_shape = len(means), tuple(means.shape[1:])
        deviations = torch.as_tensor(std, dtype=torch.float64)
        if deviations.ndim == 1:
            deviations = deviations.view(-1, *[1] * (means.ndim - 1))
        if not bool((deviations > 0).all()):
            raise ValueError("GaussianMixtureDenoiser: every std must be above 0")
        shares = torch.as_tensor([1.0] * count if weights is None else weights, dtype=torch.float64)
        if shares.shape != (count,) or not bool((shares > 0).all()):
            raise ValueError(f"weights: pass {count} positive numbers, one per component")
        if component_labels is None:
            classes = torch.full((count,), -1)
        else:
            classes = torch.as_tensor(component_labels, dtype=torch.int64)
            if sorted(set(classes.tolist())) != list(range(int(classes.max()) + 1)):
                raise ValueError("component_labels must use every class from 0 up")
        variances = (deviations**2).expand(means.shape).reshape(count, -1)
        log_shares = (shares / shares.sum()).log()
        self.register_buffer("centers", means.reshape(count, -1))
        self.register_buffer("variances", variances.clone())
        self.register_buffer("log_weights", log_shares)
        self.register_buffer("classes", classes)
        self.num_classes = int(classes.max()) + 1
        self.sigma_data = float(self._mean_variance().sqrt())

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """E[x0 | x]: each component's own answer, weighted with its posterior probability."""
        flat, noise = x.flatten(1).double(), sigma.double()[:, None, None] ** 2
        posterior = self._log_joint(flat, sigma, labels).softmax(1)  # [B, K]
        share = self.variances / (self.variances + noise)  # [B, K, D]
        answers = self.centers + share * (flat[:, None] - self.centers)
        x0 = (posterior[..., None] * answers).sum(1)
        return x0.view(x.shape).to(x.dtype)

    def score(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """Gradient of log p_sigma(x | labels), from the density itself."""
        flat, noise = x.flatten(1).double(), sigma.double()[:, None, None] ** 2
        posterior = self._log_joint(flat, sigma, labels).softmax(1)
        slopes = (self.centers - flat[:, None]) / (self.variances + noise)  # [B, K, D]
        return (posterior[..., None] * slopes).sum(1).view(x.shape).to(x.dtype)

    def log_prob(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p_sigma(x), or log p_sigma(x | labels), [B] float64."""
        return self._log_joint(x.flatten(1).double(), sigma, labels).logsumexp(1)

    def class_log_prob(self, x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        """log p(label | x, sigma) of the noise-aware classifier, [B] float64; 0 for label -1."""
        joint = self._log_joint(x.flatten(1).double(), sigma, None)  # [B, K]
        own = self._belongs(labels)
        return joint.masked_fill(~own, -math.inf).logsumexp(1) - joint.logsumexp(1)

    def sample(
        self, count: int, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Clean data float64 [count, *image_shape] and the classes int64 [count] it came from."""
        if labels is None:
            labels = torch.full((count,), -1)
        own = self._belongs(labels.to(self.classes.device)).cpu()
        chances = self.log_weights.cpu().exp() * own
        chosen = torch.multinomial(chances, 1, generator=generator)[:, 0]
        size = self.centers.shape[1]
        noise = torch.randn(count, size, generator=generator, dtype=torch.float64)
        data = self.centers.cpu()[chosen] + noise * self.variances.cpu()[chosen].sqrt()
        return data.view(count, *self.image_shape), self.classes.cpu()[chosen]

    def _log_joint(self, flat: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        """log of weight times density per component, [B, K]; weights sum to 1 within the label."""
        variance = self.variances + sigma.double()[:, None, None] ** 2  # [B, K, D]
        distance = (flat[:, None] - self.centers) ** 2 / variance
        density = -(distance + torch.log(2 * math.pi * variance)).sum(-1) / 2
        if labels is None:
            return density + self.log_weights
        shares = self.log_weights.expand_as(density).masked_fill(~self._belongs(labels), -math.inf)
        return density + shares.log_softmax(1)

    def _belongs(self, labels: Tensor) -> Tensor:
        """Which components each label allows, bool [B, K]."""
        labels = labels.to(self.classes.device)[:, None]
        return (labels == self.classes) | (labels == -1)

    def _mean_variance(self) -> Tensor:
        """Variance of the whole mixture, averaged over its dimensions."""
        shares = self.log_weights.exp()[:, None]
        mean = (shares * self.centers).sum(0)
        return (shares * (self.variances + (self.centers - mean) ** 2)).sum(0).mean()
