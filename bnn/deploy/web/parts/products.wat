;; wat2wasm products.wat: the inner loop of FloatSums, four numbers at a time.
(module
  (import "js" "memory" (memory 1))
  ;; For each filter the sum of its $n weights, float32 at $w, times the
  ;; operands, float64 at $x: added in float64, rounded to float32, and stored
  ;; as float64 at $y. $n is a multiple of 8; the filters follow one another.
  (func (export "multiply")
    (param $w i32) (param $x i32) (param $n i32) (param $filters i32)
    (param $y i32)
    (local $a i32) (local $k i32) (local $four v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (loop $filter
      (local.set $a (local.get $x))
      (local.set $k (local.get $n))
      (local.set $s0 (v128.const f64x2 0 0))
      (local.set $s1 (v128.const f64x2 0 0))
      (local.set $s2 (v128.const f64x2 0 0))
      (local.set $s3 (v128.const f64x2 0 0))
      (loop $eight
        (local.set $four (v128.load (local.get $w)))
        (local.set $s0 (f64x2.add (local.get $s0) (f64x2.mul
          (f64x2.promote_low_f32x4 (local.get $four))
          (v128.load (local.get $a)))))
        (local.set $s1 (f64x2.add (local.get $s1) (f64x2.mul
          (f64x2.promote_low_f32x4 (i8x16.shuffle
            8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7
            (local.get $four) (local.get $four)))
          (v128.load offset=16 (local.get $a)))))
        (local.set $four (v128.load offset=16 (local.get $w)))
        (local.set $s2 (f64x2.add (local.get $s2) (f64x2.mul
          (f64x2.promote_low_f32x4 (local.get $four))
          (v128.load offset=32 (local.get $a)))))
        (local.set $s3 (f64x2.add (local.get $s3) (f64x2.mul
          (f64x2.promote_low_f32x4 (i8x16.shuffle
            8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7
            (local.get $four) (local.get $four)))
          (v128.load offset=48 (local.get $a)))))
        (local.set $w (i32.add (local.get $w) (i32.const 32)))
        (local.set $a (i32.add (local.get $a) (i32.const 64)))
        (br_if $eight (local.tee $k
          (i32.sub (local.get $k) (i32.const 8)))))
      (local.set $s0 (f64x2.add
        (f64x2.add (local.get $s0) (local.get $s1))
        (f64x2.add (local.get $s2) (local.get $s3))))
      (f64.store (local.get $y) (f64.promote_f32 (f32.demote_f64 (f64.add
        (f64x2.extract_lane 0 (local.get $s0))
        (f64x2.extract_lane 1 (local.get $s0))))))
      (local.set $y (i32.add (local.get $y) (i32.const 8)))
      (br_if $filter (local.tee $filters
        (i32.sub (local.get $filters) (i32.const 1)))))))
