//! Static files for `bayeuxd serve --static DIR`: a page, its scripts, a `node_modules` beside them.
//!
//! A convenience for examples and development, not a web server: GET and HEAD, `index.html`, content
//! types, ETag. No listings, no ranges, no compression. Names that begin with a dot are never served,
//! and neither is anything that a symbolic link places outside the directory. Files of any size leave
//! in chunks of 64 KiB, so a slow reader costs one chunk.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
        LOCATION, X_CONTENT_TYPE_OPTIONS,
    },
};
use tokio::task;

pub use self::body::FileBody;

mod body;

/// A directory that is served.
#[derive(Debug, Clone)]
pub struct Files {
    /// Absolute and free of links, so that resolved paths can be compared with it.
    root: PathBuf,
}

impl Files {
    /// Serves `directory`.
    ///
    /// # Errors
    /// The operator's to correct: it is no directory, or may not be read.
    pub fn new(directory: &Path) -> Result<Self, NoDirectory> {
        let fail = |source| NoDirectory { path: directory.display().to_string(), source };
        let root = fs::canonicalize(directory).map_err(fail)?;
        fs::read_dir(&root).map_err(fail)?;
        Ok(Self { root })
    }

    /// Answers a request for `path`, the path of the URL as it was sent.
    ///
    /// 200, 301 to the same path with a final `/` for a directory, 304, 404, 405, or 500 if a file
    /// exists that cannot be read. File access happens on the runtime's blocking threads.
    pub async fn serve(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Response<FileBody> {
        if method != Method::GET && method != Method::HEAD {
            let mut response =
                text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD work here\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let Some(name) = file_name(path) else { return not_found() };
        let root = self.root.clone();
        let found = task::spawn_blocking(move || find(&root, &name)).await;
        match found {
            Ok(Ok(Found::File(file))) => file_response(file, method, headers),
            Ok(Ok(Found::Directory)) => moved(path),
            Ok(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                text(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read\n")
            }
            Ok(Err(_) | Ok(Found::Nothing)) => not_found(),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "reading was interrupted\n"),
        }
    }
}

/// The directory of `--static` cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("--static {path:?}: {source}; name a directory that this user may read")]
pub struct NoDirectory {
    path: String,
    source: io::Error,
}

/// What a path leads to.
enum Found {
    File(OpenFile),
    /// A directory whose path was given without the final slash, on which relative links depend.
    Directory,
    Nothing,
}

struct OpenFile {
    file: File,
    length: u64,
    etag: String,
    content_type: &'static str,
}

/// The relative file name of a URL path; a final `/` stands for `index.html`. `None` for anything but
/// plain names: dotfiles, `.`, `..`, empty segments, separators or NUL behind a `%` escape.
fn file_name(path: &str) -> Option<PathBuf> {
    let mut name = PathBuf::new();
    let mut segments = path.strip_prefix('/')?.split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_none() {
            name.push("index.html");
            break;
        }
        let segment = percent_decode(segment)?;
        if segment.is_empty() || segment.starts_with('.') || segment.contains(['/', '\\', '\0']) {
            return None;
        }
        name.push(segment);
    }
    Some(name)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? << 4 | digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Whether there can be no file: it is missing, one stands in the place of a directory, no file can have that
/// name, or links lead in a circle.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
        || error.raw_os_error() == Some(ELOOP)
}

/// The library has no stable name for links in a circle.
const ELOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };

/// Resolves links, makes sure that the result is inside `root` and nowhere hidden, and opens it.
fn find(root: &Path, name: &Path) -> io::Result<Found> {
    let path = match fs::canonicalize(root.join(name)) {
        Ok(path) => path,
        Err(error) if is_nothing(&error) => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let plain = |part: Component<'_>| matches!(part, Component::Normal(part) if !part.as_encoded_bytes().starts_with(b"."));
    if !path.strip_prefix(root).is_ok_and(|inside| inside.components().all(plain)) {
        return Ok(Found::Nothing);
    }
    // Before opening: a named pipe would block the thread for good.
    let metadata = fs::metadata(&path)?;
    if metadata.is_dir() {
        return Ok(Found::Directory);
    }
    if !metadata.is_file() {
        return Ok(Found::Nothing);
    }
    let file = File::open(&path)?;
    let metadata = file.metadata()?;
    let content_type = content_type(&path);
    Ok(Found::File(OpenFile { file, length: metadata.len(), etag: etag(&metadata), content_type }))
}

/// Length and time of the last change: editors touch at least one of them.
fn etag(metadata: &Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanoseconds = modified.map_or(0, |time| time.as_nanos());
    format!("\"{:x}-{nanoseconds:x}\"", metadata.len())
}

fn file_response(file: OpenFile, method: &Method, request: &HeaderMap) -> Response<FileBody> {
    let unchanged = request.get_all(IF_NONE_MATCH).iter().any(|line| {
        line.to_str().is_ok_and(|line| {
            let mut tags = line.split(',').map(str::trim);
            tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == file.etag)
        })
    });
    let mut response = Response::new(FileBody::empty());
    let headers = response.headers_mut();
    // Kept by the browser, but asked for each time: a developer reloads to see the change.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(etag) = HeaderValue::from_str(&file.etag) {
        headers.insert(ETAG, etag);
    }
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(file.length));
    if method == Method::GET {
        *response.body_mut() = FileBody::file(file.file, file.length);
    }
    response
}

/// Sends a browser to the directory. `path` has no empty segment, so this cannot lead to another host.
fn moved(path: &str) -> Response<FileBody> {
    let Ok(location) = HeaderValue::from_str(&format!("{path}/")) else { return not_found() };
    let mut response = text(StatusCode::MOVED_PERMANENTLY, "this is a directory\n");
    response.headers_mut().insert(LOCATION, location);
    response
}

fn not_found() -> Response<FileBody> {
    text(StatusCode::NOT_FOUND, "no such file\n")
}

fn text(status: StatusCode, body: &'static str) -> Response<FileBody> {
    let mut response = Response::new(FileBody::text(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// By extension. Browsers run a module only under a JavaScript type.
fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|text| text.to_str()).unwrap_or("");
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "txt" | "md" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
