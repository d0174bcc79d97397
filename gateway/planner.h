#pragma once
// The work of make_plan(), one step kind a file: planner.cpp (sources, transforms, sinks), planner_join.cpp,
// planner_window.cpp, planner_window_function.cpp, planner_deduplicate.cpp, planner_unnest.cpp, planner_dictionary.cpp.
// Lives for one call. Thread: control.

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/expr/aggregates.h"
#include "engine/expr/chain.h"
#include "engine/operators/named_dictionary.h"
#include "gateway/expression_binding.h"
#include "gateway/plan.h"

namespace twinspan::gateway {

class Planner {
 public:
  Planner(const config::PipelineSpec& spec, config::Diagnostics& diagnostics)
      : spec_(spec),
        diagnostics_(diagnostics),
        errors_before_(diagnostics.error_count()),
        expressions_(spec.functions, diagnostics) {}
  std::unique_ptr<Plan> run();

 private:
  // Something that rows come out of.
  struct Stream {
    bool source = false;
    unsigned index = 0;  // in Graph::sources or Graph::nodes
    std::shared_ptr<const Schema> schema;
    bool append_only = true;  // false: windows, which update what they said before
    bool shared = false;      // several steps or sinks read it
    unsigned stage = 0;       // of a node that several steps became: which of them this is the result of
  };
  // Names of columns somebody downstream reads; `all`: every one (a sink, or a step without select before one).
  struct Needed {
    bool all = false;
    std::set<std::string> names;
    void add(const std::set<std::pair<std::string, std::string>>& columns, const std::string& only_qualifier = "");
  };

  engine::AstPtr parse(const config::Text& text, config::Diagnostics& diagnostics) const {
    return expressions_.parse(text, diagnostics);
  }
  void report(const engine::ExprErrors& errors, const config::Text& at, config::Diagnostics& diagnostics) const {
    expressions_.report(errors, at, diagnostics);
  }
  bool order_steps();
  Needed needed_of(const std::string& id) const;
  // Whether a step that reads this one must be told what a change takes back.
  bool feeds_steps(const std::string& id) const;
  void plan_source(const std::string& id, const config::SourceSpec& source);
  void plan_step(const std::string& id, const config::StepSpec& step);
  void plan_transform(const std::string& id, const config::StepSpec& step);
  void plan_join(const std::string& id, const config::StepSpec& step);
  void plan_window(const std::string& id, const config::StepSpec& step);
  void convert_arguments(engine::AggregateCall& call, const config::Text& text, const engine::Scope& scope);
  void plan_window_function(const std::string& id, const config::StepSpec& step);
  void plan_unnest(const std::string& id, const config::StepSpec& step);
  void plan_deduplicate(const std::string& id, const config::StepSpec& step);
  void plan_sink(const std::string& id, const config::SinkSpec& sink);
  void plan_budgets();

  // `where` and `select` over `input` as a stateless node, or as one more stage of the stateless node that `input`
  // comes from, when nobody else reads that: equal calls of both are then evaluated once.
  std::optional<Stream> add_transform(const std::string& node_id, const Stream& input, const engine::Scope& scope,
                                      const std::optional<config::Expression>& where,
                                      const std::vector<std::pair<std::string, engine::AstPtr>>& select,
                                      const std::vector<const config::Text*>& select_text, bool identity,
                                      const LetScope& let, config::OnError on_error);
  // `dict_id` calls of the step (planner_dictionary.cpp): each becomes a column behind those of `input`, which
  // `let.expand` puts in its place. Rows that `where` drops take no id: it is moved before them and cleared, unless it
  // has such a call itself. nullopt: reported. Without a call nothing is added.
  std::optional<Stream> add_dictionaries(const std::string& id, const Stream& input, const config::StepSpec& step,
                                         LetScope& let, std::optional<config::Expression>& where,
                                         config::OnError on_error);
  // The one stream a step reads: its input, or a union of several.
  std::optional<Stream> input_stream(const std::string& node_id, const std::vector<config::Id>& ids);
  // Whether no row of the input is ever taken back, as `who` ("a window function") needs it; false: reported.
  bool rows_stay(const Stream& input, const config::Id& named, std::string code, std::string_view who,
                 std::string hint = {});
  unsigned add_node(engine::OperatorNode node, config::OnError on_error);
  void connect(const Stream& from, engine::Target target);
  std::shared_ptr<const Schema> keep(Schema schema);
  int sink_index(const std::string& id) const;
  const Stream* find(const config::Id& id) const;
  std::size_t readers(const std::string& id) const;  // steps and sinks that read it

  const config::PipelineSpec& spec_;
  config::Diagnostics& diagnostics_;
  const std::size_t errors_before_;
  mutable ExpressionReader expressions_;  // remembers what it put where
  std::unique_ptr<Plan> plan_;
  std::map<std::string, Stream> streams_;
  struct TransformPlan {
    explicit TransformPlan(const Schema& input) : chain(input) {}
    engine::ChainBuilder chain;
    std::vector<std::string> steps;
  };
  std::map<unsigned, std::unique_ptr<TransformPlan>> transforms_;  // by node
  std::vector<const config::NamedMap<config::StepSpec>::Entry*> order_;
  struct NamedDictionary {
    std::shared_ptr<engine::DictionaryPlaces> places;
    DataType type;
  };
  std::map<std::string, NamedDictionary> dictionaries_;
};

}  // namespace twinspan::gateway
