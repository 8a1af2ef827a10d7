"""Graph convolution over the tokens of one feature map, magnitude preserving."""

import torch
from torch import Tensor, nn

from models.layers.attention import BALANCE
from models.layers.magnitude_preserving import MPConv, mp_silu, mp_sum, pixel_norm
from models.neighbours import nearest


class GraphConv(nn.Module):
    """Edge convolution on the kNN graph of each image's own tokens, [B, C, H, W] -> the same.

    m_i = mean_j silu(W [h_i, h_j - h_i]) over the k nearest tokens j in feature space (Wang et
    al., DGCNN, arXiv 1801.07829, Eq. 7, with a mean in place of the maximum), projected back to C
    channels and added to the input by `mp_sum`. The choice of neighbours carries no gradient.

    Args:
        channels: C.
        k: neighbours of each token; fewer where the image has no more.
        width: channels of a message.
    """

    def __init__(self, channels: int, k: int, width: int):
        super().__init__()
        self.k = k
        self.message = MPConv(2 * channels, width)
        self.project = MPConv(width, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # [B, N, C]
        points = tokens.detach().to(torch.promote_types(x.dtype, torch.float32))
        index = nearest(points, self.k)  # [B, N, K]
        rows = torch.arange(batch, device=x.device)[:, None, None]
        neighbours = tokens[rows, index]  # [B, N, K, C]
        centres = tokens[:, :, None].expand_as(neighbours)
        edges = pixel_norm(torch.cat([centres, neighbours - centres], -1), dim=-1)
        messages = mp_silu(self.message(edges)).mean(2)  # [B, N, width]
        update = self.project(pixel_norm(messages, dim=-1))
        update = update.transpose(1, 2).reshape(batch, channels, height, width)
        return mp_sum(x, update, BALANCE)
