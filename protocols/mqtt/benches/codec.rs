//! Nanoseconds that encoding and decoding a packet takes, beside two independent codecs.

fn main() {}
