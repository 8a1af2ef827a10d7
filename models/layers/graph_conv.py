"""Graph convolution over the tokens of one feature map, magnitude preserving."""

import torch
from torch import Tensor, nn

from models.layers.attention import BALANCE
from models.layers.exchange import Exchange
from models.layers.magnitude_preserving import MPConv, mp_silu, mp_sum, pixel_norm
from models.neighbours import nearest, nearest_in


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
        self.exchange: Exchange | None = None
        """Where images are cut into bands (models/bands); None: they are whole."""

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # [B, N, C]
        bank, index = self.neighbours(tokens)  # [B, M, C], [B, N, K]
        rows = torch.arange(batch, device=x.device)[:, None, None]
        neighbours = bank[rows, index]  # [B, N, K, C]
        centres = tokens[:, :, None].expand_as(neighbours)
        edges = pixel_norm(torch.cat([centres, neighbours - centres], -1), dim=-1)
        messages = mp_silu(self.message(edges)).mean(2)  # [B, N, width]
        update = self.project(pixel_norm(messages, dim=-1))
        update = update.transpose(1, 2).reshape(batch, channels, height, width)
        return mp_sum(x, update, BALANCE)

    def neighbours(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, N, C] -> all tokens of their images [B, M, C], and their neighbours in them.

        int64 [B, N, min(k, M - 1)]. M is N where images are whole.
        """
        wide = torch.promote_types(tokens.dtype, torch.float32)
        if self.exchange is None:
            return tokens, nearest(tokens.detach().to(wide), self.k)
        bank = self.exchange.gather(self, tokens, 1)
        k = min(self.k, bank.shape[1] - 1)
        starts = self.exchange.starts(len(tokens), tokens.shape[1])
        found = [
            _without_itself(nearest_in(own.to(wide), whole.to(wide), k + 1), start)
            for own, whole, start in zip(tokens.detach(), bank.detach(), starts, strict=True)
        ]
        return bank, torch.stack(found)


def _without_itself(index: Tensor, start: int) -> Tensor:
    """Neighbours [N, k + 1] in a bank where query i stands at start + i -> the k others, [N, k].

    A query that is not among its own neighbours has so many duplicates before it: the last goes.
    """
    own = torch.arange(start, start + len(index), device=index.device)[:, None]
    other = index != own
    other[:, -1] &= ~other.all(1)
    return index[other].view(len(index), -1)
