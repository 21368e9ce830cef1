"""The pieces both nets are made of."""

from torch import nn


def conv(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Give a 3x3 convolution, batch norm, ReLU; the size changes only by `stride`."""
    return nn.Sequential(
        nn.Conv2d(
            inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def squeeze(inputs: int, outputs: int) -> nn.Sequential:
    """Give a 1x1 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def upsample(factor: int) -> nn.Upsample:
    """Give a nearest-neighbour resize."""
    return nn.Upsample(scale_factor=float(factor), mode="nearest")


def transposed(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Sequential:
    """Give a transposed convolution that multiplies the size by `stride`, batch norm, ReLU.

    Raises
    ------
    ValueError
        The kernel is not divisible by the stride: output pixels would get unequal numbers of
        contributions (checkerboard; Odena et al., "Deconvolution and checkerboard artifacts").
    """
    if kernel % stride:
        raise ValueError("kernel must be divisible by stride")
    return nn.Sequential(
        nn.ConvTranspose2d(
            inputs, outputs, kernel, stride=stride, padding=(kernel - stride) // 2, bias=False
        ),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def encoder(widths: tuple[int, int, int, int, int]) -> nn.Sequential:
    """Give the common encoder: five halvings up to 1/32, the last stage dilated, not pooled.

    Parameters
    ----------
    widths
        Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size.
    """
    stem, second, third, fourth, last = widths
    return nn.Sequential(
        conv(1, stem, stride=2),
        conv(stem, stem),
        conv(stem, stem),
        nn.MaxPool2d(2),
        conv(stem, second),
        conv(second, second),
        nn.MaxPool2d(2),
        conv(second, third),
        conv(third, third),
        nn.MaxPool2d(2),
        conv(third, fourth),
        conv(fourth, fourth),
        nn.MaxPool2d(2),
        conv(fourth, last),
        conv(last, last),
        conv(last, last, dilation=2),
        conv(last, last, dilation=2),
    )
