//! What `--help` shows below the words.

pub(super) const EXAMPLES: &str = "\
First start on one machine:
  paylatch-platform --config platform.toml keys init      make the key and missing passwords
  paylatch-platform --config platform.toml check-config   say what is wrong, if anything
  paylatch-platform --config platform.toml run            serve until Ctrl-C

Then look at it:
  curl -H \"Authorization: Bearer $(cat data/api-token)\" http://127.0.0.1:7080/api/v1/transactions
  curl http://127.0.0.1:7080/readyz
  curl http://127.0.0.1:7080/metrics

Every field of the configuration can be set by a variable: PAYLATCH__API__LISTEN=127.0.0.1:8080.
PAYLATCH_LOG=debug shows more. Exit codes: 0 ended on request, 1 what was asked is refused,
69 a port or the store is in use, 70 a defect, 78 the configuration is wrong.";

pub(super) const BACKUP: &str = "\
Examples:
  paylatch-platform --config platform.toml backup /mnt/backup/2026-03-01
  paylatch-platform --config platform.toml restore /mnt/backup/2026-03-01

After a restore no refund mends itself until every terminal's journal has been read, because the
store has forgotten what came after the backup:
  curl -H \"Authorization: Bearer $(cat data/api-token)\" http://127.0.0.1:7080/api/v1/epoch

Exit codes: 0 done, 69 the disk refused or a platform runs, 78 the folder is there already, or is no
backup of this platform that is whole.";

pub(super) const HOLD: &str = "\
Examples:
  paylatch-platform hold north/gate-1 --name 'Ada King' --reason 'gate arm is bent'
  paylatch-platform hold north        --name 'Ada King' --reason 'flooded'
  paylatch-platform hold gateway/mock --name 'Ada King' --reason 'statement does not add up'
  paylatch-platform hold '*'          --name 'Ada King' --reason 'closing for the night'
  paylatch-platform release north     --name 'Ada King' --reason 'dry again'

What stands:
  curl -H \"Authorization: Bearer $(cat data/api-token)\" http://127.0.0.1:7080/api/v1/holds

Exit codes: 0 done, 1 refused, 69 no platform runs.";

pub(super) const HAND: &str = "\
Examples:
  paylatch-platform refund 0d9c3a1e5b7f48260d9c3a1e5b7f4826 --name 'Ada King' --reason 'left the site'
  paylatch-platform open north/gate-1 --name 'Ada King' --reason 'paid at the desk'

Both are done once: the same --id again does nothing more. What people did:
  curl -H \"Authorization: Bearer $(cat data/api-token)\" http://127.0.0.1:7080/api/v1/acts

Exit codes: 0 done, 1 refused, 69 no platform runs.";

pub(super) const RESOLVE: &str = "\
Examples:
  paylatch-platform resolve 9c3a1e5b7f48260d9c3a1e5b7f48260d --name 'Ada King' --reason 'bank confirms'
  paylatch-platform resolve 0d9c3a1e5b7f48260d9c3a1e5b7f4826 --as earned \\
      --name 'Ada King' --reason 'the camera shows the gate open'
  paylatch-platform reconcile --name 'Ada King' --reason 'end of month'

What waits, with its id and what was found:
  curl -H \"Authorization: Bearer $(cat data/api-token)\" 'http://127.0.0.1:7080/api/v1/tasks?open=true'

--as says what became of the money of a sale under review:
  refund    give it back, or try so again
  earned    the payer was served: it is the merchant's
  loss      the payer was served, and the money is gone
  returned  the payer was not served, and has it back without us

Exit codes: 0 done, 1 refused, 69 no platform runs.";

pub(super) const KEYS: &str = "\
Examples:
  paylatch-platform keys revoke 6tQv2pJz0nC8bqXw3kLmRrY1uVhTf5sGdEaKiOoPxZs \\
      --name 'Ada King' --reason 'terminal stolen'

In the configuration the same is gateways.revoked_key_ids. Refused messages are counted:
  paylatch_platform_refusals_total{reason=\"revoked_key\"}

Exit codes: 0 done, 1 refused, 69 no platform runs.";

pub(super) const EXPORT: &str = "\
Examples:
  paylatch-platform export --from 2026-03-01 --to 2026-03-31 --out march.csv
  paylatch-platform export --from 2026-03-01 --to 2026-03-01 --merchant north

Exit codes: 0 done, 69 the store can't be read, 78 a day is wrong or the file is there already.";
