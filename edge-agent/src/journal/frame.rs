//! How a record and a half's header lie in the file.
//!
//! ```text
//! 0     header, 64: magic 8 | generation 8 | journal id 16 | half's size 8 | zero 20 | CRC-32C 4
//! 4096  seal, 16:   generation 8 | synced 4 | CRC-32C 4
//! 8192  record:     length 4 | synced 4 | CRC-32C 4 | payload | zeros to a multiple of 8
//! ```
//!
//! Numbers are little-endian. A record's CRC covers its generation and its offset too, so that
//! what an earlier generation left behind is never taken for a record of this one. `synced` is how
//! much of the half was known to be on the disk when the record was written: damage below it is
//! damage, damage above it is a write that a power cut tore. The seal says the same after each sync,
//! for the last record too, which no later one vouches for. It lies in a block of its own: a disk
//! that loses a block in a power cut loses all 4 KiB of it.

use protocol::id::JournalId;

/// Where a half's seal lies.
pub(super) const SEAL_OFFSET: u64 = 4096;

/// Where a half's records begin.
pub(super) const RECORDS_OFFSET: u64 = 8192;

/// Length, synced and CRC.
const PREFIX_SIZE: usize = 12;

/// Records start at multiples of this, so that a search behind a torn one is quick.
const ALIGNMENT: usize = 8;

/// Longest record: the mark after a compaction with 512 pruned ids has 18 KiB, a posted message
/// at most the contract's 8 KiB.
pub(crate) const RECORD_SIZE_MAX: usize = 32 * 1024;

/// Bytes that a search behind a torn record checksums, in lengths of the half. Records of one
/// generation do not overlap, and of an older one those are left that no newer one covers: together
/// one length. More is there only where power cuts tore writes, a few records each time. Without a
/// bound half a journal of the wrong bytes costs 64 GiB.
const SEARCHES_MAX: usize = 4;

const MAGIC: [u8; 8] = *b"PLJRNL2\n";

/// Bytes that a record of `length` takes.
pub(crate) const fn frame_size(length: usize) -> u64 {
    (PREFIX_SIZE + length).next_multiple_of(ALIGNMENT) as u64
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) generation: u64,
    pub(super) id: JournalId,
    /// Fixed when the file was made, so that a file cut short is noticed.
    pub(super) half_size: u64,
}

impl Header {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&self.half_size.to_le_bytes());
        bytes.resize(60, 0);
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` unless every bit is right.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let generation = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
        let id = JournalId::from_random(bytes.get(16..32)?.try_into().ok()?);
        let half_size = u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?);
        let header = Self {
            generation,
            id,
            half_size,
        };
        (header.encode() == bytes).then_some(header)
    }
}

/// How much of a half is on the disk.
pub(super) fn encode_seal(generation: u64, synced: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16);
    bytes.extend_from_slice(&generation.to_le_bytes());
    bytes.extend_from_slice(&synced.to_le_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// What the seal of a half says; nothing if it is of another generation, or not whole.
pub(super) fn sealed(half: &[u8], generation: u64) -> Option<u32> {
    let start = usize::try_from(SEAL_OFFSET).ok()?;
    let bytes = half.get(start..start + 16)?;
    let synced = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
    (encode_seal(generation, synced) == bytes).then_some(synced)
}

/// A record in a half's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<'b> {
    pub(super) payload: &'b [u8],
    pub(super) synced: u32,
    /// Where the next one starts.
    pub(super) end: usize,
}

pub(super) fn encode(generation: u64, offset: u32, synced: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let crc = checksum(generation, offset, length, synced, payload);
    let mut bytes = Vec::with_capacity(PREFIX_SIZE + payload.len() + ALIGNMENT);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&synced.to_le_bytes());
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    bytes
}

/// What bytes of a half say of themselves, if they can begin a record.
struct Prefix {
    length: u32,
    synced: u32,
    crc: u32,
}

fn prefix(half: &[u8], offset: usize) -> Option<Prefix> {
    let number = |at: usize| {
        let bytes = half.get(offset + at..offset + at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let length = number(0)?;
    let is_possible = (1..=RECORD_SIZE_MAX).contains(&usize::try_from(length).ok()?);
    is_possible.then_some(Prefix {
        length,
        synced: number(4)?,
        crc: number(8)?,
    })
}

/// The record at `offset` of a half, if there is a whole one.
pub(super) fn find(half: &[u8], generation: u64, offset: usize) -> Option<Found<'_>> {
    let Prefix {
        length,
        synced,
        crc,
    } = prefix(half, offset)?;
    let size = usize::try_from(length).ok()?;
    let payload = half.get(offset + PREFIX_SIZE..offset + PREFIX_SIZE + size)?;
    let expected = checksum(
        generation,
        u32::try_from(offset).ok()?,
        length,
        synced,
        payload,
    );
    (crc == expected).then(|| Found {
        payload,
        synced,
        end: (offset + PREFIX_SIZE + size).next_multiple_of(ALIGNMENT),
    })
}

/// Whether something behind `offset` says that more than it was on the disk: a whole record, or
/// bytes that a search may not afford, and that no journal holds.
pub(super) fn is_missed_behind(half: &[u8], generation: u64, offset: usize) -> bool {
    let mut affordable = half.len().saturating_mul(SEARCHES_MAX);
    for at in (offset..half.len()).step_by(ALIGNMENT) {
        let Some(prefix) = prefix(half, at) else {
            continue;
        };
        let (synced, length) = (number(prefix.synced), number(prefix.length));
        if synced <= offset {
            continue;
        }
        if length > affordable || find(half, generation, at).is_some() {
            return true;
        }
        affordable -= length;
    }
    false
}

fn number(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn checksum(generation: u64, offset: u32, length: u32, synced: u32, payload: &[u8]) -> u32 {
    let mut crc = crc32c::crc32c(&generation.to_le_bytes());
    crc = crc32c::crc32c_append(crc, &offset.to_le_bytes());
    crc = crc32c::crc32c_append(crc, &length.to_le_bytes());
    crc = crc32c::crc32c_append(crc, &synced.to_le_bytes());
    crc32c::crc32c_append(crc, payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each eight bytes claim to begin a record as long as there can be, vouching for what is torn.
    #[test]
    fn what_costs_more_than_it_could_hold_is_damage() {
        let half = 0x8000_u32.to_le_bytes().repeat(1 << 22);
        let offset = usize::try_from(RECORDS_OFFSET).unwrap();
        assert_eq!(half.len(), 16 * 1024 * 1024, "the largest half");
        assert!(is_missed_behind(&half, 1, offset));
    }

    /// Older generations in layers, each with records that end in bytes which look like a length.
    #[test]
    fn what_older_generations_left_is_neither() {
        let start = usize::try_from(RECORDS_OFFSET).unwrap();
        let mut half = vec![0; 512 * 1024];
        for (layer, generation) in [7, 5, 3].into_iter().rev().enumerate() {
            let end = half.len() - (layer + 1) * 64 * 1024;
            let mut offset = start;
            let mut synced = start;
            for size in (1..).map(|number| 1 + number * 61 % 800) {
                let payload = [vec![b'{'; size], b"}}".to_vec()].concat();
                let of = |value: usize| u32::try_from(value).unwrap();
                let bytes = encode(generation, of(offset), of(synced), &payload);
                if offset + bytes.len() > end {
                    break;
                }
                half[offset..offset + bytes.len()].copy_from_slice(&bytes);
                synced = offset;
                offset += bytes.len();
            }
        }
        assert!(find(&half, 7, start).is_some());
        assert!(!is_missed_behind(&half, 9, start));
        assert!(is_missed_behind(&half, 7, start + ALIGNMENT), "7 is there");
    }
}
