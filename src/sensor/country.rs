//! In which country a client's address is: by a database in MaxMind's format that the user has.
//! The analysis learns where a principal comes from by it; without one it does not.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use compact_str::CompactString;
use maxminddb::{PathElement, Reader};

/// The database, if there is one; workers share it, and it can be read again under them.
#[derive(Clone, Debug, Default)]
pub struct Countries {
    path: Option<PathBuf>,
    database: Arc<ArcSwapOption<Database>>,
}

/// Where a country's code stands: of the address, else of the network's owner.
const PLACES: [&str; 2] = ["country", "registered_country"];

struct Database(Reader<Vec<u8>>);

/// A database that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}: a country database in MaxMind's format (.mmdb) is meant")]
pub struct Unreadable {
    path: String,
    why: String,
}

impl Countries {
    pub fn open(path: &Path) -> Result<Self, Unreadable> {
        let countries = Self {
            path: Some(path.to_owned()),
            database: Arc::default(),
        };
        countries.read_again()?;
        Ok(countries)
    }

    /// Takes the file as it is now; where it cannot be read, the one before stays.
    pub fn read_again(&self) -> Result<(), Unreadable> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let refused = |why: String| Unreadable {
            path: path.display().to_string(),
            why,
        };
        let bytes = std::fs::read(path).map_err(|e| refused(e.to_string()))?;
        let reader = Reader::from_source(bytes).map_err(|e| refused(e.to_string()))?;
        reader.verify().map_err(|e| refused(e.to_string()))?;
        self.database.store(Some(Arc::new(Database(reader))));
        Ok(())
    }

    /// ISO 3166 code; none where the database has none, as for private addresses.
    pub fn of(&self, client: IpAddr) -> Option<CompactString> {
        let database = self.database.load();
        let found = database.as_ref()?.0.lookup(client).ok()?;
        let code = |place| -> Option<&str> {
            let path = [PathElement::Key(place), PathElement::Key("iso_code")];
            found.decode_path(&path).ok()?
        };
        let code = PLACES.into_iter().find_map(code)?;
        let sound = code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
        sound.then(|| code.into())
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.metadata().database_type)
    }
}
