//! From a name to its setting; for a name that is none, the one that was probably meant.

use super::table::TABLE;

/// Index of a name; `/` may stand for `.`.
pub(super) fn find(name: &str) -> Result<usize, String> {
    let wanted = name.trim().replace('/', ".");
    TABLE.iter().position(|entry| entry.name == wanted).ok_or_else(|| {
        let near = TABLE.iter().min_by_key(|entry| distance(entry.name, &wanted));
        // Most letters of the last part must be right, else the hint leads astray.
        let meant = |name| edit_distance(last_part(name), last_part(&wanted)) <= wanted.len() / 4;
        match near.filter(|entry| meant(entry.name)) {
            Some(near) => {
                format!("there is no sysctl '{wanted}' here; the nearest name is {}", near.name)
            }
            None => format!("there is no sysctl '{wanted}' here; `tcplab sysctl -a` lists them"),
        }
    })
}

/// Edit distance, where a name without its `net.ipv4.` counts as near.
fn distance(known: &str, wanted: &str) -> usize {
    edit_distance(last_part(known), last_part(wanted)) * 4 + edit_distance(known, wanted)
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn edit_distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let b: Vec<u8> = b.bytes().take(LONGEST).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
