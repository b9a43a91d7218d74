;; wat2wasm popcount.wat: the inner loop of CountedSums, on 64 bits at a time.
(module
  (import "js" "memory" (memory 1))
  ;; For each filter the sum over its planes i and the operand's planes j of
  ;; 2^(i + j) popcount(plane i XOR plane j), as 32 bits at $y. Planes follow
  ;; one another, of $words words of 64 bits each.
  (func (export "count")
    (param $w i32) (param $x i32) (param $words i32) (param $bits i32)
    (param $xbits i32) (param $filters i32) (param $y i32)
    (local $i i32) (local $j i32) (local $k i32) (local $total i32)
    (local $n i64) (local $a i32) (local $b i32)
    (loop $filter
      (local.set $total (i32.const 0))
      (local.set $i (i32.const 0))
      (loop $plane
        (local.set $b (local.get $x))
        (local.set $j (i32.const 0))
        (loop $operand
          (local.set $a (local.get $w))
          (local.set $k (local.get $words))
          (local.set $n (i64.const 0))
          (loop $word
            (local.set $n (i64.add (local.get $n) (i64.popcnt (i64.xor
              (i64.load (local.get $a)) (i64.load (local.get $b))))))
            (local.set $a (i32.add (local.get $a) (i32.const 8)))
            (local.set $b (i32.add (local.get $b) (i32.const 8)))
            (br_if $word (local.tee $k
              (i32.sub (local.get $k) (i32.const 1)))))
          (local.set $total (i32.add (local.get $total) (i32.shl
            (i32.wrap_i64 (local.get $n))
            (i32.add (local.get $i) (local.get $j)))))
          (br_if $operand (i32.lt_u (local.tee $j
            (i32.add (local.get $j) (i32.const 1))) (local.get $xbits))))
        (local.set $w (local.get $a))
        (br_if $plane (i32.lt_u (local.tee $i
          (i32.add (local.get $i) (i32.const 1))) (local.get $bits))))
      (i32.store (local.get $y) (local.get $total))
      (local.set $y (i32.add (local.get $y) (i32.const 4)))
      (br_if $filter (local.tee $filters
        (i32.sub (local.get $filters) (i32.const 1)))))))
