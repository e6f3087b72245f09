#pragma once

#include <algorithm>
#include <vector>

#include "engines/search_direction.hpp"
#include "kernels/quasi_newton.hpp"

namespace exitwave {

// L-BFGS (Nocedal, Math. Comput. 35, 773 (1980)): h = H s with the negative gradient s, and H from
// the last pairs of moves and turns of the gradient (kernels/quasi_newton.hpp), begun with the
// preconditioner. The two loops of the recursion are worked out on numbers, from products of pairs
// that are kept, so that parts exchange totals twice and not twice for each pair.
//
// A move is what object and probe have really moved by, limits and other constraints included. Per
// object pixel: direction, old gradient, and two more for each pair.
template <class Backend>
class QuasiNewtonDirection final : public SearchDirection<Backend> {
  using Base = SearchDirection<Backend>;
  using typename Base::Lane;

 public:
  explicit QuasiNewtonDirection(GradientState<Backend> engine)
      : Base(std::move(engine)),
        places_(engine_.options.history),
        object_moves_(this->object_field(places_)),
        object_turns_(this->object_field(places_)),
        probe_moves_(this->probe_field(places_)),
        probe_turns_(this->probe_field(places_)) {
    for (int copy = 0; copy < engine_.state.copies(); ++copy)
      numbers_.push_back(engine_.backend.holds(copy)
                             ? Buffer<double>(engine_.backend.memory(copy),
                                              std::size_t(kernels::PairNumbers::count(places_)))
                             : Buffer<double>());
  }

  void leave(bool update_probe) override {
    begun_ = true;
    for_each_field(update_probe,
                   [&](Lane& lane, int, const Region& region, int images, const Fields& f) {
                     lane.map(region, images, kernels::BeginPair{f.move(following()), f.present});
                   });
  }

  void state(Archive& archive) override {
    Base::state(archive);
    object_moves_.state(archive, "object_moves");
    object_turns_.state(archive, "object_turns");
    probe_moves_.state(archive, "probe_moves");
    probe_turns_.state(archive, "probe_turns");
    for (std::size_t copy = 0; copy < numbers_.size(); ++copy)
      archive.buffer("pair_numbers/" + std::to_string(copy), numbers_[copy]);
    archive.number("pairs", pairs_);
    archive.number("newest_pair", newest_);
    archive.number("pair_begun", begun_);
  }

 private:
  using Base::engine_;
  using Base::object_;
  using Base::object_old_;
  using Base::probe_;
  using Base::probe_old_;

  // Object or probe, as one part sees it.
  struct Fields {
    CanvasView<Complex> moves;  // of all places
    CanvasView<Complex> turns;
    CanvasView<Complex> present;
    CanvasView<Complex> old;
    CanvasView<Complex> sum;
    CanvasView<Complex> direction;
    int places;

    CanvasView<Complex> move(int place) const { return moves.every(places, place); }
    CanvasView<Complex> turn(int place) const { return turns.every(places, place); }
  };

  Fields object_fields(int part) {
    return {object_moves_.view(part),
            object_turns_.view(part),
            engine_.state.object(part),
            object_old_.view(part),
            engine_.object_sums.sum(part),
            object_.view(part),
            places_};
  }
  Fields probe_fields(int part) {
    return {probe_moves_.view(part),
            probe_turns_.view(part),
            engine_.state.probe(part),
            probe_old_.view(part),
            engine_.probe_sums.sum(part),
            probe_.view(part),
            places_};
  }

  // f(lane, part, region, images, fields) for the pixels that a part updates
  template <class F>
  void for_each_field(bool with_probe, const F& f) {
    engine_.backend.for_each_part([&](Lane& lane, int, int part) {
      f(lane, part, engine_.object_sums.updated(part), engine_.options.object_images(),
        object_fields(part));
      if (with_probe && part < engine_.state.copies())
        f(lane, part, engine_.state.window(), engine_.options.probe_modes, probe_fields(part));
    });
  }
  // The same for pixels that count towards a total, each in one part only.
  template <class F>
  void for_each_own(int part, bool with_probe, const F& f) {
    f(engine_.object_sums.owned(part), engine_.options.object_images(), object_fields(part));
    if (with_probe && part == 0)
      f(engine_.state.window(), engine_.options.probe_modes, probe_fields(part));
  }

  void next(bool update_probe, bool restart) override {
    if (restart) {
      pairs_ = 0;
      begun_ = false;
    }
    if (begun_) {
      newest_ = following();
      pairs_ = std::min(pairs_ + 1, places_);
    }
    take_gradients(update_probe);
    multiply_moves(update_probe);
    between_loops(update_probe);
    multiply_turns(update_probe);
    add_moves(update_probe);
  }
  int following() const { return (newest_ + 1) % places_; }
  int place(int age) const { return (newest_ - age + places_) % places_; }

  // Ends the pair that has been begun, and keeps the gradients.
  void take_gradients(bool update_probe) {
    for_each_field(
        update_probe, [&](Lane& lane, int, const Region& region, int images, const Fields& f) {
          if (begun_)
            lane.map(region, images,
                     kernels::EndPair{f.move(newest_), f.turn(newest_), f.present, f.old, f.sum});
          lane.map(region, images, kernels::Copy<Complex>{f.old, f.sum});
        });
  }

  void multiply_moves(bool update_probe) {
    if (pairs_ == 0) return;
    engine_.backend.for_each_part([&](Lane& lane, int, int part) {
      engine_.totals.clear(lane, part, along(), 2 * places_ + 2);
      for_each_own(part, update_probe, [&](const Region& region, int images, const Fields& f) {
        for (int age = 0; age < pairs_; ++age)
          lane.sum(region, images, kernels::AlongMove{f.move(place(age)), f.old, f.turn(newest_)},
                   engine_.totals.own(part, along() + 2 * place(age)));
      });
      measure_newest(lane, part, update_probe);
    });
    this->share();
  }

  void measure_newest(Lane& lane, int part, bool update_probe) {
    double* found = engine_.totals.own(part, sizes());
    for (int slice = 0; slice < engine_.options.slices; ++slice) {
      const auto of_slice = [&](CanvasView<Complex> field) { return this->slice_of(field, slice); };
      const Fields f = object_fields(part);
      lane.sum(engine_.object_sums.owned(part), engine_.options.object_modes,
               kernels::PairSizes{of_slice(f.move(newest_)),
                                  of(of_slice(f.turn(newest_)), engine_.object_z(part, slice))},
               found);
    }
    if (part != 0 || !update_probe) return;
    const Fields f = probe_fields(part);
    lane.sum(engine_.state.window(), engine_.options.probe_modes,
             kernels::PairSizes{f.move(newest_), of(f.turn(newest_), engine_.probe_z(part))},
             found);
  }

  // direction <- scale q / weight,  q = gradient - sum of_turn y
  void between_loops(bool update_probe) {
    engine_.state.for_each_copy(engine_.backend, [&](Lane& lane, int part) {
      lane.map({1, 1, 1, 1}, kernels::FirstLoop{numbers(part), engine_.totals.across(part, along()),
                                                engine_.totals.across(part, sizes())});
    });
    for_each_field(update_probe,
                   [&](Lane& lane, int part, const Region& region, int images, const Fields& f) {
                     lane.map(region, images, kernels::Copy<Complex>{f.direction, f.old});
                     for (int age = 0; age < pairs_; ++age)
                       add(lane, region, images, f.direction, f.turn(place(age)),
                           times(&numbers(part).of_turn(place(age)), -1));
                   });
    engine_.backend.for_each_part([&](Lane& lane, int, int part) {
      weigh_object(lane, part);
      if (part < engine_.state.copies()) weigh_probe(lane, part, update_probe);
    });
  }

  void weigh_object(Lane& lane, int part) {
    const Region& region = engine_.object_sums.updated(part);
    for (int slice = 0; slice < engine_.options.slices; ++slice) {
      const auto q = this->object(part, slice);
      lane.map(region, engine_.options.object_modes,
               kernels::Store<kernels::Quotient>{q, of(q, engine_.object_z(part, slice))});
    }
    scale(lane, region, engine_.options.object_images(), part, this->object(part));
    engine_.object_sums.clear(lane, part);
  }

  void weigh_probe(Lane& lane, int part, bool update_probe) {
    const Region& window = engine_.state.window();
    const int modes = engine_.options.probe_modes;
    const CanvasView<Complex> q = this->probe(part);
    if (!update_probe) return lane.map(window, modes, kernels::Clear<Complex>{q});
    lane.map(window, modes, kernels::Store<kernels::Quotient>{q, of(q, engine_.probe_z(part))});
    scale(lane, window, modes, part, q);
    this->restrict_probe(lane, part, q);
    engine_.probe_sums.clear(lane, part);
  }

  void multiply_turns(bool update_probe) {
    if (pairs_ == 0) return;
    engine_.backend.for_each_part([&](Lane& lane, int, int part) {
      engine_.totals.clear(lane, part, against(), places_);
      for_each_own(part, update_probe, [&](const Region& region, int images, const Fields& f) {
        for (int age = 0; age < pairs_; ++age)
          lane.sum(region, images, kernels::Product{f.turn(place(age)), f.direction},
                   engine_.totals.own(part, against() + place(age)));
      });
    });
    this->share();
  }

  // direction <- direction + sum of_move s
  void add_moves(bool update_probe) {
    if (pairs_ == 0) return;
    engine_.state.for_each_copy(engine_.backend, [&](Lane& lane, int part) {
      lane.map({1, 1, 1, 1},
               kernels::SecondLoop{numbers(part), engine_.totals.across(part, against())});
    });
    for_each_field(update_probe,
                   [&](Lane& lane, int part, const Region& region, int images, const Fields& f) {
                     for (int age = 0; age < pairs_; ++age)
                       add(lane, region, images, f.direction, f.move(place(age)),
                           times(&numbers(part).of_move(place(age)), 1));
                   });
  }

  // Places in a row of the totals.
  int along() const { return Totals<Backend>::kFirst + engine_.options.slices; }
  int sizes() const { return along() + 2 * places_; }
  int against() const { return sizes() + 2; }

  kernels::PairNumbers numbers(int part) {
    Buffer<double>& own = numbers_[numbers_.size() == 1 ? 0 : std::size_t(part)];
    return {own.data(), places_, pairs_, newest_};
  }
  static kernels::SumTimes times(const double* number, double factor) {
    return {kernels::Across{number, 1, 1}, factor};
  }
  static void add(Lane& lane, const Region& region, int images, CanvasView<Complex> field,
                  CanvasView<const Complex> direction, const kernels::SumTimes& factor) {
    lane.map(region, images, kernels::AddScaled<kernels::SumTimes>{field, direction, factor});
  }
  void scale(Lane& lane, const Region& region, int images, int part, CanvasView<Complex> field) {
    lane.map(region, images,
             kernels::Scale<kernels::SumTimes>{field, times(&numbers(part).scale(), 1)});
  }
  // The same quotient of another field.
  static kernels::Quotient of(CanvasView<const Complex> field, kernels::Quotient z) {
    z.sum = field;
    return z;
  }

  int places_;
  Field<Backend, Complex> object_moves_;
  Field<Backend, Complex> object_turns_;
  Field<Backend, Complex> probe_moves_;
  Field<Backend, Complex> probe_turns_;
  std::vector<Buffer<double>> numbers_;  // of each copy of the probe
  int pairs_ = 0;
  int newest_ = 0;      // place of the newest pair
  bool begun_ = false;  // the pair after it
};

}  // namespace exitwave
