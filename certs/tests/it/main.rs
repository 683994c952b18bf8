//! The table of hostile certificates, row by row, and the handshakes, tokens and lifecycles that
//! go with it. Row numbers are those of the security design's list of negative certificates.

#[cfg(test)]
mod binding;
#[cfg(test)]
mod ca_admission;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod issuing;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod path;
#[cfg(test)]
mod possession;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
