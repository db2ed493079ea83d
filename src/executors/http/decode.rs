//! Decodes the content codings of a body (RFC 9110, 8.4.1): gzip of several members, zlib and raw deflate, brotli.
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use std::io::{self, Read};

#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("the content coding `{0}` is not supported")]
    Unsupported(String),
    /// The part that was decoded, and why the rest is not.
    #[error("{1}")]
    Invalid(Vec<u8>, io::Error),
}

/// The decoded body: at most `limit` bytes and one more, which shows that there are more. `codings` are in the order in
/// which they were applied.
pub(super) fn decode(codings: &[String], mut bytes: Vec<u8>, limit: usize) -> Result<Vec<u8>, DecodeError> {
    for coding in codings.iter().rev().filter(|c| *c != "identity") {
        if bytes.is_empty() {
            // what has no body, such as the response to a HEAD, may name a coding
            break;
        }
        let mut out = vec![];
        let decoded = match coding.as_str() {
            "gzip" | "x-gzip" => gunzip(&bytes, limit + 1, &mut out),
            "deflate" if is_zlib(&bytes) => read(ZlibDecoder::new(&bytes[..]), limit + 1, &mut out),
            "deflate" => read(DeflateDecoder::new(&bytes[..]), limit + 1, &mut out),
            "br" => read(brotli_decompressor::Decompressor::new(&bytes[..], 4096), limit + 1, &mut out),
            other => return Err(DecodeError::Unsupported(other.to_string())),
        };
        match decoded {
            Ok(()) => bytes = out,
            Err(e) => return Err(DecodeError::Invalid(out, e)),
        }
    }
    Ok(bytes)
}

fn read(from: impl Read, limit: usize, out: &mut Vec<u8>) -> io::Result<()> {
    from.take((limit - out.len()) as u64).read_to_end(out).map(drop)
}

/// Decodes each member. Zero bytes after the last one are padding.
fn gunzip(mut rest: &[u8], limit: usize, out: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut member = GzDecoder::new(rest);
        read(&mut member, limit, out)?;
        rest = member.into_inner();
        if out.len() >= limit || rest.iter().all(|b| *b == 0) {
            return Ok(());
        }
    }
}

/// Whether it begins with the header of zlib, which some servers leave out.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use std::io::Write;

    const TEXT: &[u8] = b"{\"ok\": true, \"list\": [1, 2, 3, 4, 5, 6, 7, 8, 9]}";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(codings: &str, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let codings: Vec<String> = codings.split(", ").map(String::from).collect();
        decode(&codings, bytes.to_vec(), 1 << 20)
    }

    #[test]
    fn decodes_every_coding_and_their_combinations() {
        let mut zlib = ZlibEncoder::new(vec![], Compression::default());
        zlib.write_all(TEXT).unwrap();
        let zlib = zlib.finish().unwrap();
        let mut raw = DeflateEncoder::new(vec![], Compression::default());
        raw.write_all(TEXT).unwrap();
        let raw = raw.finish().unwrap();
        let members = [gzip(&TEXT[..7]), gzip(&TEXT[7..])].concat();
        let padded = [gzip(TEXT), vec![0; 5]].concat();
        // by `brotli -q 1`
        let brotli = hex::decode("0b0280746578740a03").unwrap();
        for (codings, bytes) in [
            ("identity", TEXT.to_vec()),
            ("gzip", gzip(TEXT)),
            ("x-gzip", gzip(TEXT)),
            ("gzip", members),
            ("gzip", padded),
            ("deflate", zlib),
            ("deflate", raw),
            ("gzip, gzip", gzip(&gzip(TEXT))),
            ("identity, gzip", gzip(TEXT)),
        ] {
            assert_eq!(decoded(codings, &bytes).unwrap(), TEXT, "{codings}");
        }
        assert_eq!(decoded("br", &brotli).unwrap(), b"text\n");
        assert!(decoded("gzip", b"").unwrap().is_empty(), "a HEAD has no body");
    }

    #[test]
    fn keeps_what_was_decoded_before_an_error() {
        let long: Vec<u8> = (0..100_000u32).flat_map(|i| i.to_string().into_bytes()).collect();
        let cut = &gzip(&long)[..40_000];
        assert!(matches!(decoded("gzip", cut), Err(DecodeError::Invalid(part, _)) if long.starts_with(&part)));
        for broken in [&b"plain text"[..], &[gzip(TEXT), b"more".to_vec()].concat()] {
            assert!(matches!(decoded("gzip", broken), Err(DecodeError::Invalid(..))));
        }
        let unsupported = decoded("zstd", b"x").unwrap_err().to_string();
        assert_eq!(unsupported, "the content coding `zstd` is not supported");
    }

    #[test]
    fn decodes_no_more_than_the_limit() {
        let zeros = gzip(&vec![0; 10 << 20]);
        assert_eq!(decode(&["gzip".into()], zeros, 1000).unwrap().len(), 1001);
    }

    #[test]
    fn no_bytes_panic() {
        for coding in ["gzip", "deflate", "br"] {
            for n in 0..64usize {
                let bytes: Vec<u8> = (0..n).map(|i| (i * 37 + n * 11) as u8).collect();
                let _ = decoded(coding, &bytes);
            }
        }
    }
}
