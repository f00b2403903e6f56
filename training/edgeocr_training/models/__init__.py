"""Networks: backbones, necks and heads, and the detectors made of them."""
