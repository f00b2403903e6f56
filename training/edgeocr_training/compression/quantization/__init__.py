"""From float networks to the integers that XNNPACK computes with."""
