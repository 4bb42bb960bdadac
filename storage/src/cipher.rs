//! Encryption of a file: AES-256-GCM over 64 KiB chunks in the STREAM construction, and the wrapping of its key.
//!
//! A file version has one fresh random [`FileKey`]. HKDF-SHA256 gives it two uses: the key of all chunks and, with a salt, the key of the sealed part of the
//! manifest. The nonce of a chunk is `segment (4, big-endian) || 0 (3) || chunk (4, big-endian) || last (1)`: STREAM with the segment's number as its prefix.
//! So a chunk opens on its own, at its own place only; a segment cannot be cut short, since only its last chunk has the flag; segments and files cannot be
//! swapped. A browser can do the same with WebCrypto.
//!
//! Source: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", section 7 (STREAM); RFC 5869.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Key, Tag};
use borsh::{BorshDeserialize, BorshSerialize};
use hkdf::Hkdf;
use primitives::Address;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::profile::{CHUNK_BYTES, Segment, TAG_BYTES, index};

const TAG: usize = 16;
const CHUNK: usize = 64 * 1024;
const _: () = assert!(TAG as u64 == TAG_BYTES && CHUNK as u64 == CHUNK_BYTES);
const SEALED_CHUNK: usize = CHUNK + TAG;

/// 32 random bytes that open one version of one file. Wiped when dropped; never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct FileKey([u8; 32]);

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKey(..)")
    }
}

impl FileKey {
    /// A fresh key from the operating system.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has none to give.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut key = Self([0; 32]);
        getrandom::fill(&mut key.0).map_err(|error| NoRandomness(error.to_string()))?;
        Ok(key)
    }

    /// The key of a share link, or one that was unwrapped elsewhere. Must come from [`FileKey::random`]: reuse for another file breaks both.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a share link.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The cipher of this file's segments.
    pub fn segments(&self) -> SegmentCipher {
        let key = derive(&[], &self.0, b"stratos segment chunks");
        SegmentCipher(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("a key of 32 bytes")))
    }

    /// Encrypts the small secrets of a manifest, under a key of its own for each `salt`.
    pub(crate) fn seal(&self, salt: &[u8; 32], clear: &[u8]) -> Vec<u8> {
        seal_once(&cipher(salt, &self.0, b"stratos manifest details"), &[], clear)
    }

    /// The inverse of [`FileKey::seal`]; `None` if a bit differs.
    pub(crate) fn unseal(&self, salt: &[u8; 32], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        unseal_once(&cipher(salt, &self.0, b"stratos manifest details"), &[], sealed)
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes from the operating system: {0}")]
pub struct NoRandomness(pub String);

/// 32 random bytes.
///
/// # Errors
/// [`NoRandomness`] if the system has none to give.
pub(crate) fn random_salt() -> Result<[u8; 32], NoRandomness> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| NoRandomness(error.to_string()))?;
    Ok(salt)
}

fn derive(salt: &[u8], secret: &[u8; 32], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, key.as_mut()).expect("32 bytes is far below the 8160 that HKDF-SHA256 can give");
    key
}

fn cipher(salt: &[u8], secret: &[u8; 32], info: &[u8]) -> Aes256Gcm {
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(*derive(salt, secret, info)))
}

/// One message under a key that is never used again: the nonce may be zero.
fn seal_once(cipher: &Aes256Gcm, associated: &[u8], clear: &[u8]) -> Vec<u8> {
    let mut sealed = clear.to_vec();
    let tag = cipher.encrypt_inout_detached(&aes_gcm::Nonce::default(), associated, sealed.as_mut_slice().into()).expect("far below the 64 GiB of AES-GCM");
    sealed.extend_from_slice(&tag);
    sealed
}

fn unseal_once(cipher: &Aes256Gcm, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (bytes, tag) = sealed.split_last_chunk::<TAG>()?;
    let mut clear = Zeroizing::new(bytes.to_vec());
    cipher.decrypt_inout_detached(&aes_gcm::Nonce::default(), associated, clear.as_mut_slice().into(), &Tag::from(*tag)).ok()?;
    Some(clear)
}

/// Why a segment's bytes were not encrypted or decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// A chunk was changed, moved, cut short, or encrypted under another key.
    #[error("chunk {chunk} of segment {segment} is not what was encrypted under this key")]
    Forged {
        /// Segment of the file.
        segment: u32,
        /// Chunk of the segment.
        chunk: u64,
    },
    /// A buffer does not have the length that the layout gives it.
    #[error("a buffer of {found} bytes where the layout has {expected}")]
    Length {
        /// What the layout gives.
        expected: usize,
        /// What was passed.
        found: usize,
    },
}

/// Encrypts and decrypts the segments of one file.
///
/// The expanded key inside is not wiped when it is dropped (ring has no means for that): keep it for one transfer only.
pub struct SegmentCipher(LessSafeKey);

impl SegmentCipher {
    /// Encrypts all of segment number `segment` from `plaintext` into `ciphertext`. Each chunk is copied there and encrypted in place while it is in the cache.
    ///
    /// Each segment number may be encrypted only once under one key: the nonces come from it.
    ///
    /// # Errors
    /// [`CipherError::Length`] if a buffer has not the length of `layout`.
    pub fn encrypt(&self, segment: u32, layout: &Segment, plaintext: &[u8], ciphertext: &mut [u8]) -> Result<(), CipherError> {
        expect_length(index(layout.plaintext()), plaintext.len())?;
        expect_length(index(layout.ciphertext()), ciphertext.len())?;
        for ((chunk, clear), sealed) in (0..layout.chunks()).zip(plaintext.chunks(CHUNK)).zip(ciphertext.chunks_mut(SEALED_CHUNK)) {
            let (body, tag_out) = sealed.split_at_mut(clear.len());
            body.copy_from_slice(clear);
            let tag = self.0.seal_in_place_separate_tag(nonce(segment, chunk, layout), Aad::empty(), body).expect("a chunk is far below the 64 GiB of AES-GCM");
            tag_out.copy_from_slice(tag.as_ref());
        }
        Ok(())
    }

    /// Decrypts the chunks `first..` whose ciphertext (tags included) is `ciphertext` into `plaintext`. Any run of whole chunks opens on its own.
    ///
    /// # Errors
    /// [`CipherError::Length`] if the buffers are not those of a run of whole chunks of `layout`. [`CipherError::Forged`] names the first chunk that is not
    /// genuine; `plaintext` then holds nothing of it nor of what follows.
    pub fn decrypt(&self, segment: u32, layout: &Segment, first: u64, ciphertext: &[u8], plaintext: &mut [u8]) -> Result<(), CipherError> {
        let last = first + ciphertext.len().div_ceil(SEALED_CHUNK) as u64;
        let (sealed, clear) = (layout.ciphertext_of(first..last), layout.plaintext_of(first..last));
        expect_length(index(sealed.end - sealed.start), ciphertext.len())?;
        expect_length(index(clear.end - clear.start), plaintext.len())?;
        for ((chunk, sealed), clear) in (first..last).zip(ciphertext.chunks(SEALED_CHUNK)).zip(plaintext.chunks_mut(CHUNK)) {
            let (body, tag) = sealed.split_last_chunk::<TAG>().expect("the layout gives every chunk a tag");
            clear.copy_from_slice(body);
            let opened = self.0.open_in_place_separate_tag(nonce(segment, chunk, layout), Aad::empty(), (*tag).into(), clear, 0..).is_ok();
            if !opened {
                clear.fill(0);
                return Err(CipherError::Forged { segment, chunk });
            }
        }
        Ok(())
    }
}

fn expect_length(expected: usize, found: usize) -> Result<(), CipherError> {
    if expected == found { Ok(()) } else { Err(CipherError::Length { expected, found }) }
}

fn nonce(segment: u32, chunk: u64, layout: &Segment) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&segment.to_be_bytes());
    nonce[7..11].copy_from_slice(&u32::try_from(chunk).expect("a segment has at most 1024 chunks").to_be_bytes());
    nonce[11] = u8::from(chunk + 1 == layout.chunks());
    Nonce::assume_unique_for_key(nonce)
}

/// The 32 bytes from which an owner opens the files of a bucket: derived from the wallet's seed by its owner. Wiped when dropped; never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct OwnerSecret([u8; 32]);

impl std::fmt::Debug for OwnerSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnerSecret(..)")
    }
}

impl OwnerSecret {
    /// Takes 32 uniform bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A file key, encrypted for one who may read: the owner first, then those with whom it is shared.
///
/// The wrapping key is `HKDF-SHA256(salt, secret)`, new for every wrap because the salt is random. The holder's address is authenticated with it, so a wrap
/// cannot be passed off as another's.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct KeyWrap {
    /// For whom.
    pub holder: Address,
    /// Random.
    pub salt: [u8; 32],
    /// The encrypted key and its tag.
    pub sealed: [u8; 48],
}

impl KeyWrap {
    /// Wraps `key` for `holder`, who has `secret`.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has no salt to give.
    pub fn new(key: &FileKey, holder: Address, secret: &OwnerSecret) -> Result<Self, NoRandomness> {
        Ok(Self::with_salt(key, holder, secret, random_salt()?))
    }

    pub(crate) fn with_salt(key: &FileKey, holder: Address, secret: &OwnerSecret, salt: [u8; 32]) -> Self {
        let sealed = seal_once(&Self::cipher(&salt, secret), &holder.0, &key.0);
        Self { holder, salt, sealed: sealed.try_into().expect("32 bytes of key and 16 of tag") }
    }

    /// The file key, or `None` if `secret` is not the one it was wrapped for.
    pub fn open(&self, secret: &OwnerSecret) -> Option<FileKey> {
        let clear = unseal_once(&Self::cipher(&self.salt, secret), &self.holder.0, &self.sealed)?;
        let mut key = FileKey([0; 32]);
        key.0.copy_from_slice(&clear);
        Some(key)
    }

    fn cipher(salt: &[u8; 32], secret: &OwnerSecret) -> Aes256Gcm {
        cipher(salt, &secret.0, b"stratos file key wrap")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ProfileId;
    use proptest::prelude::*;

    fn sealed(key: &FileKey, segment: u32, plaintext: &[u8]) -> (Segment, Vec<u8>) {
        let layout = ProfileId::Dev.profile().segment(plaintext.len() as u64).unwrap();
        let mut out = vec![0; index(layout.ciphertext())];
        key.segments().encrypt(segment, &layout, plaintext, &mut out).unwrap();
        (layout, out)
    }

    fn data(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 + at / 251).to_le_bytes()[0]).collect()
    }

    fn text(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Computed by another implementation (pyca/cryptography on OpenSSL).
    #[test]
    fn golden() {
        let key = FileKey::from_bytes([7; 32]);
        assert_eq!(text(&sealed(&key, 3, b"stratos").1), "34c0e3c83c4eecbd5242e272438e55a03dcc6f4f260d5c");
        let wrap = KeyWrap::with_salt(&key, Address([1; 20]), &OwnerSecret::from_bytes([9; 32]), [5; 32]);
        assert_eq!(text(&wrap.sealed), "99f4cac427b5e489f7dbb99695655140cb8ee716eb47646f7f66e7b1f9d9eeaadf4e4885d0cc201de806c172db3249bd");
    }

    #[test]
    fn every_boundary_round_trips() {
        let key = FileKey::random().unwrap();
        for length in [1, 15, 16, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5] {
            let plain = data(length);
            let (layout, bytes) = sealed(&key, 0, &plain);
            let mut back = vec![0; length];
            key.segments().decrypt(0, &layout, 0, &bytes, &mut back).unwrap();
            assert_eq!(back, plain, "{length}");
        }
    }

    /// The format by another hand: every chunk opens with aes-gcm under the nonce of the module's description.
    #[test]
    fn chunks_are_those_of_another_implementation() {
        let key = FileKey::random().unwrap();
        let plain = data(2 * CHUNK + 100);
        let (_, bytes) = sealed(&key, 0x0102_0304, &plain);
        let model = cipher(&[], &key.0, b"stratos segment chunks");
        for (chunk, (sealed, clear)) in (0_u8..).zip(bytes.chunks(SEALED_CHUNK).zip(plain.chunks(CHUNK))) {
            let (mut body, tag) = (sealed[..clear.len()].to_vec(), Tag::try_from(&sealed[clear.len()..]).unwrap());
            let nonce = aes_gcm::Nonce::from([1, 2, 3, 4, 0, 0, 0, 0, 0, 0, chunk, u8::from(chunk == 2)]);
            model.decrypt_inout_detached(&nonce, &[], body.as_mut_slice().into(), &tag).unwrap();
            assert_eq!(body, clear);
        }
    }

    #[test]
    fn swapped_cut_and_foreign_chunks_are_refused() {
        let key = FileKey::random().unwrap();
        let plain = data(2 * CHUNK);
        let (layout, bytes) = sealed(&key, 5, &plain);
        let mut out = vec![0; 2 * CHUNK];
        let cipher = key.segments();
        assert_eq!(cipher.decrypt(6, &layout, 0, &bytes, &mut out), Err(CipherError::Forged { segment: 6, chunk: 0 }), "another segment's place");
        let swapped = [&bytes[SEALED_CHUNK..], &bytes[..SEALED_CHUNK]].concat();
        assert_eq!(cipher.decrypt(5, &layout, 0, &swapped, &mut out), Err(CipherError::Forged { segment: 5, chunk: 0 }));
        let half = ProfileId::Dev.profile().segment(CHUNK_BYTES).unwrap();
        let cut = cipher.decrypt(5, &half, 0, &bytes[..SEALED_CHUNK], &mut out[..CHUNK]);
        assert_eq!(cut, Err(CipherError::Forged { segment: 5, chunk: 0 }), "the first chunk of two is not the last of one");
        let other = FileKey::random().unwrap().segments();
        assert_eq!(other.decrypt(5, &layout, 0, &bytes, &mut out), Err(CipherError::Forged { segment: 5, chunk: 0 }));
        assert_eq!(cipher.decrypt(5, &layout, 0, &bytes[1..], &mut out), Err(CipherError::Length { expected: bytes.len(), found: bytes.len() - 1 }));
    }

    #[test]
    fn a_wrap_opens_for_its_holder_only() {
        let (key, secret) = (FileKey::random().unwrap(), OwnerSecret::from_bytes([1; 32]));
        let wrap = KeyWrap::new(&key, Address([2; 20]), &secret).unwrap();
        assert_eq!(wrap.open(&secret), Some(key));
        assert_eq!(wrap.open(&OwnerSecret::from_bytes([2; 32])), None);
        assert_eq!(KeyWrap { holder: Address([3; 20]), ..wrap }.open(&secret), None, "not passed off as another's");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Any run of chunks opens alone and is the plaintext at its place; one wrong bit names its chunk.
        #[test]
        fn runs_open_alone(length in 1usize..5 * CHUNK, from in 0u64..5, count in 1u64..5, at in any::<prop::sample::Index>()) {
            let key = FileKey::from_bytes([3; 32]);
            let plain = data(length);
            let (layout, mut bytes) = sealed(&key, 1, &plain);
            let run = from.min(layout.chunks() - 1)..(from + count).min(layout.chunks());
            prop_assume!(run.start < run.end);
            let (inner, outer) = (layout.plaintext_of(run.clone()), layout.ciphertext_of(run.clone()));
            let (inner, outer) = (index(inner.start)..index(inner.end), index(outer.start)..index(outer.end));
            let mut out = vec![0; inner.len()];
            key.segments().decrypt(1, &layout, run.start, &bytes[outer.clone()], &mut out).unwrap();
            prop_assert_eq!(&out, &plain[inner]);
            let wrong = outer.start + at.index(outer.len());
            bytes[wrong] ^= 1;
            let chunk = (wrong / SEALED_CHUNK) as u64;
            prop_assert_eq!(key.segments().decrypt(1, &layout, run.start, &bytes[outer], &mut out), Err(CipherError::Forged { segment: 1, chunk }));
        }
    }
}
