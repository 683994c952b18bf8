use clap::error::ErrorKind;

use super::*;

fn read(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once("hubctl").chain(line.split_whitespace()))
}

fn refused(line: &str, kind: ErrorKind) {
    let error = read(line).expect_err(line);
    assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line}");
}

#[test]
fn every_command_of_the_manual_is_understood() {
    let print = "ab".repeat(32);
    let lines = [
        "device create d1",
        "device create d1 --auth key --disabled",
        &format!("device create d1 --auth thumbprint --thumbprint {print} --thumbprint {print}"),
        "device show d1",
        "device list --top 5",
        "device update d1 --disabled --reason stolen --etag abc=",
        "device delete d1",
        "device update d1 --status disabled --reason stolen",
        "device import devices.jsonl",
        "device import --mode createOrUpdate data/registry.jsonl",
        "device export -",
        "module create d1 m1 --auth key",
        "module show d1 m1",
        "module list d1",
        "module delete d1 m1",
        "twin show d1/m1",
        "twin update d1 --desired {\"a\":1} --tags {} --etag x",
        "twin replace d1 --tags {}",
        "twin watch d1 --interval 100ms",
        "method invoke d1 reboot --payload {\"a\":[1]} --timeout 10s",
        "command send d1 --body hello --property a=b --property c=d=e --ack full --expiry 1h",
        "command send d1/m1 --file body.bin",
        "command list d1",
        "command purge d1",
        "command feedback",
        "command feedback --count 3 --keep -o json",
        "command feedback --wait --count 1",
        "command dead-letters d1/m1",
        "command redrive d1",
        "command redrive d1 --sequence 7 --expiry 2h",
        "command redrive d1/m1 --all",
        "command delete-dead-letters d1 --sequence 7",
        "command delete-dead-letters d1 --all",
        "event watch",
        "event watch --device d1 --hub events --partition 3 --from earliest --until-end --count 7",
        "event watch --from 2026-01-01T00:00:00Z",
        "event send --body hot",
        "event send --hub audit --key k --partition 3 --property a=b --file body.bin --message-id m --content-type text/plain",
        "event send --lines --file events.txt",
        "hub create audit",
        "hub create audit --partitions 8 --retention 7d --retention-bytes 10GiB --message-bytes-max 64KiB",
        "hub list",
        "hub show audit",
        "hub update audit --retention 12h",
        "hub update audit --no-retention-bytes --message-bytes-max 1MiB",
        "hub delete audit",
        "hub statistics",
        "hub statistics audit --interval 1s",
        "hub groups",
        "hub groups audit",
        "hub policy create audit site-1 --rights send,listen",
        "hub policy list audit",
        "hub policy show audit site-1",
        "hub policy delete audit site-1",
        "cert issue d1/m1 --out certs",
        "cert show d1.crt",
        "ca add ca.pem --verified --id-scope plant-",
        "ca list",
        &format!("ca disable {print}"),
        &format!("ca enable {print}"),
        &format!("ca show {print}"),
        &format!("ca delete {print}"),
    ];
    for line in lines {
        assert!(read(line).is_ok(), "{line}: {}", read(line).expect_err("it is an error"));
    }
}

#[test]
fn global_options_stand_before_and_after_the_noun() {
    for line in ["--output json --data-dir x device list", "device --data-dir x list --output json", "device list -o json --data-dir x"] {
        let arguments = read(line).expect(line);
        assert_eq!(arguments.global.output, Format::Json, "{line}");
        assert_eq!(arguments.global.connect_options().data_directory, Some("x".into()), "{line}");
    }
}

#[test]
fn what_does_not_exist_is_a_usage_error() {
    refused("route list", ErrorKind::InvalidSubcommand);
    refused("device frobnicate", ErrorKind::InvalidSubcommand);
    refused("twin query x", ErrorKind::InvalidSubcommand);
    refused("event watch --consumer-group g", ErrorKind::UnknownArgument);
}

#[test]
fn values_are_checked_before_anything_is_sent() {
    refused("device create a/b", ErrorKind::ValueValidation);
    refused("device create d1 --thumbprint 12", ErrorKind::ValueValidation);
    refused("device create d1 --auth password", ErrorKind::InvalidValue);
    refused("device update d1 --enabled --disabled", ErrorKind::ArgumentConflict);
    refused("device update d1 --status enabled --disabled", ErrorKind::ArgumentConflict);
    refused("device update d1 --status stolen", ErrorKind::InvalidValue);
    refused("device import --mode upsert devices.jsonl", ErrorKind::InvalidValue);
    refused("twin update d1", ErrorKind::MissingRequiredArgument);
    refused("twin update d1 --desired {", ErrorKind::ValueValidation);
    refused("method invoke d1 m --timeout soon", ErrorKind::ValueValidation);
    refused("command send d1 --property x", ErrorKind::ValueValidation);
    refused("command send d1 --body a --file b", ErrorKind::ArgumentConflict);
    refused("command feedback --wait --keep", ErrorKind::ArgumentConflict);
    refused("command feedback --count 0", ErrorKind::ValueValidation);
    refused("command redrive d1 --all --sequence 7", ErrorKind::ArgumentConflict);
    refused("command redrive d1 --sequence -1", ErrorKind::UnknownArgument);
    refused("command delete-dead-letters d1", ErrorKind::MissingRequiredArgument);
    refused("command dead-letters", ErrorKind::MissingRequiredArgument);
    refused("event watch --from -1", ErrorKind::ValueValidation);
    refused("event watch --from yesterday", ErrorKind::ValueValidation);
    refused("event watch --count 0", ErrorKind::ValueValidation);
    refused("event send --body a --lines", ErrorKind::ArgumentConflict);
    refused("event send --lines --message-id m", ErrorKind::ArgumentConflict);
    refused("hub create $x", ErrorKind::ValueValidation);
    refused("hub create a --partitions 1025", ErrorKind::ValueValidation);
    refused("hub create a --retention 10s", ErrorKind::ValueValidation);
    refused("hub update a", ErrorKind::MissingRequiredArgument);
    refused("hub update a --partitions 8", ErrorKind::UnknownArgument);
    refused("hub update a --retention-bytes 1GiB --no-retention-bytes", ErrorKind::ArgumentConflict);
    refused("hub policy create a p", ErrorKind::MissingRequiredArgument);
    refused("hub policy create a p --rights own", ErrorKind::ValueValidation);
    refused("cert issue d1", ErrorKind::MissingRequiredArgument);
}
