package io.github.edgeocr;

/** Order of the channels of a network's input. */
public enum ChannelOrder {
    BGR,
    RGB
}
