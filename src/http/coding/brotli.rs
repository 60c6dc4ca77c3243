//! Brotli (RFC 7932). Large windows, an extension that the content coding `br` does not have, are
//! refused. The window is made as large as a block says that it will be, 16 MiB at most, of zeroed
//! memory: pages of it that nothing is decoded into, for which the output cap sees, never become
//! real. Prefix codes take up to 4 MiB besides.

use brotli_decompressor::{
    Allocator, BrotliDecompressStream, BrotliResult, BrotliState, SliceWrapper, SliceWrapperMut,
};

use super::{Status, Step};

/// Bytes read at a time: content is given out when the decoder asks for more, and what is not
/// given out when it meets an error is lost.
const SIP: usize = 32;

type State = BrotliState<Heap, Heap, Heap>;

pub(super) struct Brotli {
    /// None behind the stream's end.
    state: Option<State>,
}

impl Default for Brotli {
    fn default() -> Self {
        Self {
            state: Some(State::new_strict(
                Heap::default(),
                Heap::default(),
                Heap::default(),
            )),
        }
    }
}

impl Brotli {
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let Some(state) = &mut self.state else {
            return Step::stop(input.len(), Status::More);
        };
        let (mut used, mut room, mut made) = (0, output.len(), 0);
        loop {
            let mut left = SIP.min(input.len() - used);
            let result = BrotliDecompressStream(
                &mut left, &mut used, input, &mut room, &mut made, output, &mut 0, state,
            );
            let status = match result {
                BrotliResult::NeedsMoreInput if used < input.len() && made == 0 => continue,
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Status::More,
                BrotliResult::ResultSuccess => {
                    self.state = None;
                    Status::More
                }
                BrotliResult::ResultFailure => Status::Broken,
            };
            return Step { used, made, status };
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.state.is_none()
    }

    pub(super) fn memory(&self) -> usize {
        let held = |s: &State| s.alloc_u8.held + s.alloc_u32.held + s.alloc_hc.held;
        self.state.as_ref().map_or(0, held)
    }
}

/// The allocator's heap, counted.
#[derive(Default)]
struct Heap {
    held: usize,
}

#[derive(Default)]
struct Block<T>(Box<[T]>);

impl<T: Clone + Default> Allocator<T> for Heap {
    type AllocatedMemory = Block<T>;

    fn alloc_cell(&mut self, len: usize) -> Block<T> {
        self.held += len * size_of::<T>();
        Block(vec![T::default(); len].into())
    }

    fn free_cell(&mut self, block: Block<T>) {
        self.held -= block.0.len() * size_of::<T>();
    }
}

impl<T> SliceWrapper<T> for Block<T> {
    fn slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> SliceWrapperMut<T> for Block<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
