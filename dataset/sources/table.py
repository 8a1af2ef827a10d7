"""The sources of images behind dataset.source."""

from dataset.sources.digits import check_digits, open_digits
from dataset.sources.huggingface import check_huggingface, open_huggingface
from dataset.sources.image_folder import check_image_folder, open_image_folder
from dataset.sources.record import SourceKind
from dataset.sources.torchvision_sets import check_torchvision, open_torchvision

SOURCES: dict[str, SourceKind] = {
    "digits": SourceKind(open_digits, check_digits),
    "image_folder": SourceKind(open_image_folder, check_image_folder),
    "torchvision": SourceKind(open_torchvision, check_torchvision),
    "huggingface": SourceKind(open_huggingface, check_huggingface),
}
