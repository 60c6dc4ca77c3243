use std::collections::BTreeMap;

use super::*;
use crate::capture::{Frame, LinkType};
use crate::decode::{Answer, Decoded};
use crate::sensor::tap::SourceTaps;
use crate::time::Timestamp;
