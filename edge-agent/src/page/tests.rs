//! The pages over real HTTP, with a desk that the test answers.
