//! What is served, with which headers, and what is not found.

use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::BodyExt as _;

use super::*;

/// A directory tree of its own, gone when the test ends.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("bayeuxd-files-{}-{number}", std::process::id()));
        fs::create_dir_all(path.join("public")).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn files(&self) -> Files {
        Files::new(&self.0.join("public")).unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn get(files: &Files, path: &str) -> Response<FileBody> {
    files.serve(&Method::GET, path, &HeaderMap::new()).await
}

async fn content(response: Response<FileBody>) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

fn header<'a>(response: &'a Response<FileBody>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn files_come_with_their_type_and_length() {
    let tree = Tree::new();
    tree.write("public/index.html", "<p>start");
    tree.write("public/chat/index.html", "<p>chat");
    tree.write("public/node_modules/cometd/cometd.js", "export {}");
    tree.write("public/a b.MJS", "1");
    tree.write("public/cometd.js.map", "{}");
    tree.write("public/x.wasm", "");
    tree.write("public/plain", "?");
    let files = tree.files();
    let cases = [
        ("/", "text/html; charset=utf-8", "<p>start"),
        ("/index.html", "text/html; charset=utf-8", "<p>start"),
        ("/chat/", "text/html; charset=utf-8", "<p>chat"),
        ("/node_modules/cometd/cometd.js", "text/javascript; charset=utf-8", "export {}"),
        ("/a%20b.MJS", "text/javascript; charset=utf-8", "1"),
        ("/%63ometd.js.map", "application/json", "{}"),
        ("/x.wasm", "application/wasm", ""),
        ("/plain", "application/octet-stream", "?"),
    ];
    for (path, content_type, expected) in cases {
        let response = get(&files, path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(header(&response, "content-type"), content_type, "{path}");
        assert_eq!(header(&response, "content-length"), expected.len().to_string(), "{path}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(content(response).await, expected.as_bytes(), "{path}");
    }
}

#[tokio::test]
async fn nothing_hidden_or_outside_is_found() {
    let tree = Tree::new();
    tree.write("secret.txt", "outside");
    tree.write("public2/secret.txt", "outside, with the root as prefix");
    tree.write("public/.env", "hidden");
    tree.write("public/.git/config", "hidden");
    tree.write("public/a.txt", "fine");
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(tree.0.join("secret.txt"), tree.0.join("public/link.txt")).unwrap();
        symlink(&tree.0, tree.0.join("public/up")).unwrap();
        symlink(tree.0.join("public/.env"), tree.0.join("public/env")).unwrap();
        symlink("circle", tree.0.join("public/circle")).unwrap();
        symlink("a.txt", tree.0.join("public/inside.txt")).unwrap();
        assert_eq!(get(&tree.files(), "/inside.txt").await.status(), 200);
    }
    let long = format!("/{}", "n".repeat(300));
    let paths = [
        long.as_str(),
        "/circle",
        "/missing",
        "/link.txt",
        "/up/secret.txt",
        "/env",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/a.txt/../a.txt",
        "/./a.txt",
        "//a.txt",
        "/a.txt/",
        "/a.txt%00",
        "/%ff",
        "/%4",
        "/%zz",
        "a.txt",
        "",
    ];
    let files = tree.files();
    for path in paths {
        let status = get(&files, path).await.status();
        assert_eq!(status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_directory_without_slash_is_redirected_and_needs_an_index() {
    let tree = Tree::new();
    tree.write("public/chat/index.html", "");
    tree.write("public/empty/a.txt", "");
    let response = get(&tree.files(), "/chat").await;
    assert_eq!((response.status().as_u16(), header(&response, "location")), (301, "/chat/"));
    assert_eq!(get(&tree.files(), "/empty/").await.status(), 404);
}

#[tokio::test]
async fn only_get_and_head_work_and_head_has_no_body() {
    let tree = Tree::new();
    tree.write("public/a.txt", "four");
    let files = tree.files();
    let head = files.serve(&Method::HEAD, "/a.txt", &HeaderMap::new()).await;
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "4"));
    assert_eq!(content(head).await, b"");
    let post = files.serve(&Method::POST, "/a.txt", &HeaderMap::new()).await;
    assert_eq!((post.status().as_u16(), header(&post, "allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn an_unchanged_file_is_304_and_a_changed_one_is_not() {
    let tree = Tree::new();
    tree.write("public/a.txt", "one");
    let files = tree.files();
    let etag = header(&get(&files, "/a.txt").await, "etag").to_owned();
    let ask = async |condition: String| {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, HeaderValue::from_str(&condition).unwrap());
        files.serve(&Method::GET, "/a.txt", &headers).await.status().as_u16()
    };
    for condition in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        assert_eq!(ask(condition.clone()).await, 304, "{condition}");
    }
    assert_eq!(ask("\"x\"".to_owned()).await, 200);
    tree.write("public/a.txt", "longer");
    assert_eq!(ask(etag).await, 200);
}

#[tokio::test]
async fn a_large_file_comes_in_chunks_and_complete() {
    let tree = Tree::new();
    let bytes: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    tree.write("public/large.bin", &bytes);
    let mut body = get(&tree.files(), "/large.bin").await.into_body();
    let mut received = Vec::new();
    while let Some(frame) = body.frame().await {
        let chunk = frame.unwrap().into_data().unwrap();
        assert!(chunk.len() <= 64 << 10, "{}", chunk.len());
        received.extend_from_slice(&chunk);
    }
    assert!(received == bytes, "{} of {} bytes", received.len(), bytes.len());
}

#[tokio::test]
async fn a_file_that_shrinks_is_an_error_and_not_a_short_body() {
    let tree = Tree::new();
    tree.write("public/a.bin", vec![0; 100_000]);
    let response = get(&tree.files(), "/a.bin").await;
    tree.write("public/a.bin", "short");
    assert!(response.into_body().collect().await.is_err());
}

#[test]
fn a_missing_directory_is_refused_with_its_name() {
    let error = Files::new(Path::new("/nonexistent/public")).unwrap_err().to_string();
    assert!(error.contains("--static \"/nonexistent/public\""), "{error}");
}
