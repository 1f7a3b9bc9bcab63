//! Which secrets find which key, and what makes a key unusable.

use super::*;

const LIMITS: NameLimits = NameLimits { bytes: 255, segments: 16 };

fn key(id: &str, secret: &str) -> ApiKey {
    ApiKey {
        id: id.into(),
        secret_sha256: Some(Digest::of(secret.as_bytes()).to_string()),
        channels: vec!["/a/**".into()],
        ..ApiKey::default()
    }
}

#[track_caller]
fn refused(keys: &[ApiKey], text: &str) {
    let error = Keyring::new(keys, LIMITS).unwrap_err().to_string();
    assert!(error.contains(text), "{error}");
}

#[test]
fn a_presented_secret_finds_its_key_and_a_wrong_one_none() {
    let ring = Keyring::new(&[key("one", "secret-1"), key("two", "secret-2")], LIMITS).unwrap();
    assert_eq!(&**ring.find(b"secret-1").unwrap().id(), "one");
    assert_eq!(&**ring.find(b"secret-2").unwrap().id(), "two");
    for wrong in ["", "secret", "secret-3", "secret-11", "Secret-1"] {
        assert!(ring.find(wrong.as_bytes()).is_none(), "{wrong}");
    }
    assert!(ring.has_publisher());
    assert!(Keyring::default().find(b"").is_none());
}

#[test]
fn a_key_that_stays_as_it_is_keeps_its_holders_and_any_other_is_taken_back() {
    let ring = |keys: &[ApiKey]| Keyring::new(keys, LIMITS).unwrap();
    let old = ring(&["kept", "gone", "renewed", "narrowed"].map(|id| key(id, &format!("of-{id}"))));
    let holder = |id: &str| old.find(format!("of-{id}").as_bytes()).unwrap().clone();
    let narrowed = ApiKey { channels: vec!["/a/b".into()], ..key("narrowed", "of-narrowed") };
    let mut new = ring(&[narrowed, key("renewed", "another"), key("kept", "of-kept")]);
    new.succeed(&old);
    for (id, revoked) in [("kept", false), ("gone", true), ("renewed", true), ("narrowed", true)] {
        assert_eq!(holder(id).is_revoked(), revoked, "{id}");
    }
    assert!(!new.find(b"of-narrowed").unwrap().is_revoked());
    let kept = new.find(b"of-kept").unwrap().clone();
    ring(&[]).succeed(&new);
    assert!(kept.is_revoked() && holder("kept").is_revoked(), "one holder through all reloads");
}

#[test]
fn keys_that_cannot_work_are_refused_with_their_name() {
    refused(&[key("a", "x"), key("a", "y")], "two keys are called 'a'");
    refused(&[key("a", "x"), key("b", "y"), key("c", "x")], "'a' and 'c' have the same secret");
    let base = key("a", "x");
    refused(&[ApiKey { secret_sha256: None, ..base.clone() }], "'a': give either");
    refused(&[ApiKey { secret_file: Some("x".into()), ..base.clone() }], "'a': give either");
    refused(&[ApiKey { channels: Vec::new(), ..base.clone() }], "say in channels");
    refused(&[ApiKey { channels: vec!["/a/**/b".into()], ..base.clone() }], "/a/**/b");
    refused(&[ApiKey { channels: vec!["/meta/connect".into()], ..base.clone() }], "broadcast");
    let missing = ApiKey { secret_sha256: None, secret_file: Some("/nowhere".into()), ..base };
    refused(&[missing], "cannot read /nowhere");
}

#[test]
fn a_file_holds_the_secret_on_one_line() {
    let path = std::env::temp_dir().join(format!("bayeuxd-keyring-{}", std::process::id()));
    let in_file =
        ApiKey { secret_sha256: None, secret_file: Some(path.clone()), ..key("a", "unused") };
    fs::write(&path, "a-secret-in-a-file\n").unwrap();
    let ring = Keyring::new(std::slice::from_ref(&in_file), LIMITS).unwrap();
    assert!(ring.find(b"a-secret-in-a-file").is_some());
    fs::write(&path, "short").unwrap();
    refused(&[in_file], "16 to 512");
    fs::remove_file(path).unwrap();
}
