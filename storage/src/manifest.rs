//! The manifest of a file: where its bytes are, for everyone; what it is called and how it opens, for those with a key.
//!
//! The public part enters the metadata ledger, the sealed part travels with it and tells nothing without a key. The [`FileId`] is the hash of both hashes, so
//! that who has one part can check it against the id and the other's hash.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::encoding::{DecodeError, decode, encode};
use primitives::{Address, Hash, Time};

use crate::cipher::{FileKey, KeyWrap, NoRandomness, OwnerSecret, random_salt};
use crate::profile::{LayoutError, Profile, ProfileId, Segment};

/// Longest encoded manifest: about 5,000 segments of profile `dev`, 80 GiB.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// Longest name, in bytes of UTF-8: what S3 allows for a key.
pub const NAME_BYTES_MAX: usize = 1024;
/// Longest media type, in bytes.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;
/// Most key wraps in one manifest: the owner's and the shares that are known when it is made.
pub const WRAPS_MAX: usize = 64;
/// The version that this code writes and reads.
pub const MANIFEST_VERSION: u8 = 1;

/// Name of one version of one file, everywhere: [`Manifest::id`].
pub type FileId = Hash;

/// One segment in the public part.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct SegmentEntry {
    /// Plaintext bytes: the profile's segment size in all but the last.
    pub plaintext: u64,
    /// BLAKE3 roots of its `n` slices, in order. All its slices have the length of its layout.
    pub slices: Vec<Hash>,
}

/// What everyone may know of a file.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Public {
    /// [`MANIFEST_VERSION`].
    pub version: u8,
    /// Who may delete it and pays for it.
    pub owner: Address,
    /// How it is cut and coded.
    pub profile: ProfileId,
    /// Plaintext bytes of the file.
    pub total: u64,
    /// Its segments, in order; none for an empty file.
    pub segments: Vec<SegmentEntry>,
}

/// What only those with a key may know of a file.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Details {
    /// Path and name inside its bucket; at most [`NAME_BYTES_MAX`].
    pub name: String,
    /// As in HTTP's `Content-Type`; at most [`MEDIA_TYPE_BYTES_MAX`].
    pub media_type: String,
    /// When it was stored, by the owner's clock.
    pub created: Time,
}

/// The encrypted part: readable by whom a wrap was made for.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Sealed {
    /// The file key for each holder, the owner first; 1 to [`WRAPS_MAX`].
    pub wraps: Vec<KeyWrap>,
    /// Salt of the key of `details`.
    pub salt: [u8; 32],
    /// [`Details`], encrypted under the file key.
    pub details: Vec<u8>,
}

/// Both parts.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Manifest {
    /// For everyone.
    pub public: Public,
    /// For those with a key.
    pub sealed: Sealed,
}

/// What a manifest says that no valid one can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not an encoded manifest.
    #[error(transparent)]
    Encoding(#[from] DecodeError),
    /// Another version.
    #[error("manifest version {0}, this program reads {MANIFEST_VERSION}")]
    Version(u8),
    /// The segments are not those of a file of this size.
    #[error("segment {segment} has {found} bytes of plaintext and must have {expected}")]
    Segment {
        /// Which.
        segment: u64,
        /// What the total gives it (0: it should not be there).
        expected: u64,
        /// What it has (0: it is missing).
        found: u64,
    },
    /// A segment has not `n` slices.
    #[error("segment {segment} has {found} slices, its profile has {expected}")]
    Slices {
        /// Which.
        segment: u64,
        /// `n`.
        expected: usize,
        /// Roots in the entry.
        found: usize,
    },
    /// A part is longer than allowed.
    #[error("{part}: {found}, at most {limit} are allowed")]
    Limit {
        /// Which part.
        part: &'static str,
        /// Its length or count.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// No manifest names so many segments.
    #[error("a file of {bytes} bytes or more is too long for one record: the largest file has {bytes_max} bytes")]
    TooLong {
        /// Length of the file, as far as it was read.
        bytes: u64,
        /// The largest.
        bytes_max: u64,
    },
    /// Nobody could ever open it.
    #[error("the manifest has no key wrap")]
    NoWrap,
    /// No random salt.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Why a manifest does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No wrap was made for this secret.
    #[error("this key opens none of the {wraps} key wraps of the file: it is not the owner's, nor of one it is shared with")]
    WrongKey {
        /// Wraps that were tried.
        wraps: usize,
    },
    /// The key is right and the details are not: they were changed, or made by a faulty program.
    #[error("the encrypted name and type of the file are damaged")]
    Damaged,
}

/// What a key opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// The key of the contents.
    pub key: FileKey,
    /// Name, type and time.
    pub details: Details,
}

impl Public {
    /// Checks that the segments are those of a file of this size in this profile.
    ///
    /// # Errors
    /// [`ManifestError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.version != MANIFEST_VERSION {
            return Err(ManifestError::Version(self.version));
        }
        let profile = self.profile();
        let count = profile.segments(self.total).max(self.segments.len() as u64);
        for (segment, entry) in (0..count).zip(self.segments.iter().map(Some).chain(std::iter::repeat(None))) {
            let (expected, found) = (profile.segment_plaintext(self.total, segment), entry.map_or(0, |entry| entry.plaintext));
            if expected != found || entry.is_none() || expected == 0 {
                return Err(ManifestError::Segment { segment, expected, found });
            }
            let found = entry.map_or(0, |entry| entry.slices.len());
            if found != profile.slices() {
                return Err(ManifestError::Slices { segment, expected: profile.slices(), found });
            }
        }
        Ok(())
    }

    /// The numbers of its profile.
    pub const fn profile(&self) -> Profile {
        self.profile.profile()
    }

    /// The layout of segment `segment`.
    ///
    /// # Errors
    /// [`LayoutError`] if there is no such segment.
    pub fn layout(&self, segment: u64) -> Result<Segment, LayoutError> {
        self.profile().segment(self.profile().segment_plaintext(self.total, segment))
    }

    /// Every slice: `(segment, slice, root, bytes)`, in order.
    pub fn slices(&self) -> impl Iterator<Item = (u64, usize, Hash, u64)> + '_ {
        (0..).zip(&self.segments).flat_map(|(segment, entry)| {
            let bytes = self.layout(segment).map_or(0, |layout| layout.slice_bytes());
            entry.slices.iter().enumerate().map(move |(slice, root)| (segment, slice, *root, bytes))
        })
    }

    /// Bytes that all slices take on their holders.
    pub fn stored_bytes(&self) -> u64 {
        self.slices().map(|(_, _, _, bytes)| bytes).sum()
    }

    /// The hash of this part.
    pub fn hash(&self) -> Hash {
        Hash::of_value("manifest public", self)
    }
}

impl Sealed {
    /// The hash of this part.
    pub fn hash(&self) -> Hash {
        Hash::of_value("manifest sealed", self)
    }
}

/// The id of the file whose parts have these hashes.
pub fn file_id(public: Hash, sealed: Hash) -> FileId {
    Hash::of("manifest", &[public.as_bytes(), sealed.as_bytes()])
}

impl Manifest {
    /// Seals `details` and wraps `key` for the owner.
    ///
    /// # Errors
    /// [`ManifestError`] if `public` is not consistent, `details` too long, or the whole above [`MANIFEST_BYTES_MAX`].
    pub fn new(public: Public, details: &Details, key: &FileKey, secret: &OwnerSecret) -> Result<Self, ManifestError> {
        let wrap = KeyWrap::new(key, public.owner, secret)?;
        Self::with_salt(public, details, key, wrap, random_salt()?)
    }

    fn with_salt(public: Public, details: &Details, key: &FileKey, wrap: KeyWrap, salt: [u8; 32]) -> Result<Self, ManifestError> {
        expect_limit("bytes of name", details.name.len(), NAME_BYTES_MAX)?;
        expect_limit("bytes of media type", details.media_type.len(), MEDIA_TYPE_BYTES_MAX)?;
        let manifest = Self { public, sealed: Sealed { wraps: vec![wrap], salt, details: key.seal(&salt, &encode(details)) } };
        manifest.check()?;
        expect_limit("bytes of manifest", encode(&manifest).len(), MANIFEST_BYTES_MAX)?;
        Ok(manifest)
    }

    /// The manifest whose encoding is `bytes`, checked.
    ///
    /// # Errors
    /// [`ManifestError`] if it is not one, or says what no valid one can.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = decode(bytes, MANIFEST_BYTES_MAX)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Its canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    fn check(&self) -> Result<(), ManifestError> {
        self.public.check()?;
        if self.sealed.wraps.is_empty() {
            return Err(ManifestError::NoWrap);
        }
        expect_limit("key wraps", self.sealed.wraps.len(), WRAPS_MAX)?;
        // Lengths of both texts and the time, the texts, the tag.
        expect_limit("bytes of sealed details", self.sealed.details.len(), 16 + NAME_BYTES_MAX + MEDIA_TYPE_BYTES_MAX + 16)
    }

    /// The file's id.
    pub fn id(&self) -> FileId {
        file_id(self.public.hash(), self.sealed.hash())
    }

    /// Opens the sealed part with the secret of the owner, or of one for whom a wrap was made.
    ///
    /// # Errors
    /// [`OpenError::WrongKey`] if no wrap opens; [`OpenError::Damaged`] if one does and the details do not.
    pub fn open(&self, secret: &OwnerSecret) -> Result<Opened, OpenError> {
        let wraps = &self.sealed.wraps;
        let key = wraps.iter().find_map(|wrap| wrap.open(secret)).ok_or(OpenError::WrongKey { wraps: wraps.len() })?;
        self.open_with(key)
    }

    /// Opens the sealed part with the file key, as a share link carries it.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] if the key is of another file or the details were changed.
    pub fn open_with(&self, key: FileKey) -> Result<Opened, OpenError> {
        let clear = key.unseal(&self.sealed.salt, &self.sealed.details).ok_or(OpenError::Damaged)?;
        let details: Details = decode(&clear, clear.len()).map_err(|_| OpenError::Damaged)?;
        Ok(Opened { key, details })
    }
}

fn expect_limit(part: &'static str, found: usize, limit: usize) -> Result<(), ManifestError> {
    if found <= limit { Ok(()) } else { Err(ManifestError::Limit { part, found, limit }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(total: u64) -> Public {
        let profile = ProfileId::Dev.profile();
        let segments = (0..profile.segments(total))
            .map(|segment| SegmentEntry {
                plaintext: profile.segment_plaintext(total, segment),
                slices: (0..6).map(|slice: u8| Hash::of("test", &[&segment.to_le_bytes(), &[slice]])).collect(),
            })
            .collect();
        Public { version: MANIFEST_VERSION, owner: Address([7; 20]), profile: ProfileId::Dev, total, segments }
    }

    fn details() -> Details {
        Details { name: "films/été.mp4".into(), media_type: "video/mp4".into(), created: Time(1_700_000_000_000) }
    }

    fn fixed(total: u64) -> Manifest {
        let (key, secret) = (FileKey::from_bytes([1; 32]), OwnerSecret::from_bytes([2; 32]));
        let wrap = KeyWrap::with_salt(&key, Address([7; 20]), &secret, [3; 32]);
        Manifest::with_salt(public(total), &details(), &key, wrap, [4; 32]).unwrap()
    }

    /// Ids and lengths computed by another program from the description of the format.
    #[test]
    fn golden() {
        let (small, empty) = (fixed(1), fixed(0));
        assert_eq!(small.encode().len(), 434);
        assert_eq!(small.encode()[..34], [[1].as_slice(), &[7; 20], &[0], &1_u64.to_le_bytes(), &1_u32.to_le_bytes()].concat());
        assert_eq!(small.id().to_string(), "21098d47346a5903c5a099543a5db6971b28b09ec8e055249143c321be115fdc");
        assert_eq!(empty.id().to_string(), "eedc09d256a2b8d517804e85aef369d3ee35ac72b2f46a190e13d7514af06c67");
        assert_eq!(small.id(), file_id(small.public.hash(), small.sealed.hash()));
    }

    #[test]
    fn opens_for_the_owner_and_a_link_only() {
        let (key, secret) = (FileKey::random().unwrap(), OwnerSecret::from_bytes([2; 32]));
        let manifest = Manifest::new(public(40 << 20), &details(), &key, &secret).unwrap();
        let opened = manifest.open(&secret).unwrap();
        assert_eq!(opened, Opened { key: key.clone(), details: details() });
        assert_eq!(manifest.open_with(key).unwrap(), opened);
        assert_eq!(manifest.open(&OwnerSecret::from_bytes([3; 32])), Err(OpenError::WrongKey { wraps: 1 }));
        assert_eq!(manifest.open_with(FileKey::random().unwrap()), Err(OpenError::Damaged));
        let text = String::from_utf8_lossy(&manifest.encode()).into_owned();
        assert!(!text.contains("films") && !text.contains("video"), "names are encrypted");
    }

    #[test]
    fn several_wraps() {
        let (key, owner, friend) = (FileKey::random().unwrap(), OwnerSecret::from_bytes([2; 32]), OwnerSecret::from_bytes([5; 32]));
        let mut manifest = Manifest::new(public(1), &details(), &key, &owner).unwrap();
        manifest.sealed.wraps.push(KeyWrap::new(&key, Address([9; 20]), &friend).unwrap());
        let manifest = Manifest::decode(&manifest.encode()).unwrap();
        assert_eq!(manifest.open(&friend), manifest.open(&owner));
    }

    #[test]
    fn inconsistent_manifests_are_refused() {
        let size = ProfileId::Dev.profile().segment_bytes;
        for total in [0, 1, size, size + 1, 3 * size] {
            assert_eq!(public(total).check(), Ok(()), "{total}");
        }
        let wrong = |change: fn(&mut Public)| {
            let mut public = public((16 << 20) + 1);
            change(&mut public);
            public.check()
        };
        assert_eq!(wrong(|public| public.version = 2), Err(ManifestError::Version(2)));
        assert_eq!(wrong(|public| public.total = 0), Err(ManifestError::Segment { segment: 0, expected: 0, found: 16 << 20 }));
        assert_eq!(wrong(|public| public.total -= 1), Err(ManifestError::Segment { segment: 1, expected: 0, found: 1 }));
        assert_eq!(wrong(|public| public.total += 1), Err(ManifestError::Segment { segment: 1, expected: 2, found: 1 }));
        assert_eq!(wrong(|public| public.total = u64::MAX), Err(ManifestError::Segment { segment: 1, expected: 16 << 20, found: 1 }));
        assert_eq!(wrong(|public| public.segments.truncate(1)), Err(ManifestError::Segment { segment: 1, expected: 1, found: 0 }));
        assert_eq!(wrong(|public| public.segments[1].slices.truncate(5)), Err(ManifestError::Slices { segment: 1, expected: 6, found: 5 }));
        let mut none = fixed(1);
        none.sealed.wraps.clear();
        assert_eq!(Manifest::decode(&none.encode()), Err(ManifestError::NoWrap));
        let long = Details { name: "x".repeat(NAME_BYTES_MAX + 1), ..details() };
        let refused = Manifest::new(public(1), &long, &FileKey::from_bytes([1; 32]), &OwnerSecret::from_bytes([2; 32]));
        assert_eq!(refused, Err(ManifestError::Limit { part: "bytes of name", found: 1025, limit: 1024 }));
        let longest = Details { name: "x".repeat(NAME_BYTES_MAX), media_type: "y".repeat(MEDIA_TYPE_BYTES_MAX), ..details() };
        assert!(Manifest::new(public(1), &longest, &FileKey::from_bytes([1; 32]), &OwnerSecret::from_bytes([2; 32])).is_ok());
    }

    #[test]
    fn slices_have_their_lengths() {
        let public = public((16 << 20) + 1);
        let slices: Vec<_> = public.slices().collect();
        assert_eq!(slices.len(), 12);
        assert_eq!((slices[5].0, slices[5].1, slices[5].3), (0, 5, public.layout(0).unwrap().slice_bytes()));
        assert_eq!((slices[6].0, slices[6].1, slices[6].3), (1, 0, 64));
        assert_eq!(public.stored_bytes(), 6 * (public.layout(0).unwrap().slice_bytes() + 64));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Manifest::decode(&bytes).is_err());
        }

        /// One wrong bit is refused or makes another file: never the same id, never another name under the same key.
        #[test]
        fn a_wrong_bit_is_another_file(at in 0usize..434, bit in 0u8..8) {
            let manifest = fixed(1);
            let mut bytes = manifest.encode();
            bytes[at] ^= 1 << bit;
            if let Ok(other) = Manifest::decode(&bytes) {
                prop_assert_ne!(other.id(), manifest.id());
                if let Ok(opened) = other.open(&OwnerSecret::from_bytes([2; 32])) {
                    prop_assert_eq!(opened.details, details());
                }
            }
        }
    }
}
