#include "config/schema.h"

#include "config/descriptor.h"
#include "config/pipeline_spec.h"
#include "config/service_spec.h"

#include <gtest/gtest.h>
#include <boost/json/src.hpp>

#include <set>

namespace twinspan::config {
namespace {

// All tables reachable from one, through lists, maps and the forms of a value.
void collect(const Shape& shape, std::set<const ObjectTable*>& into);

void collect(const ObjectTable& table, std::set<const ObjectTable*>& into) {
  if (!into.insert(&table).second) return;
  for (const Field& field : table.fields()) collect(field.shape, into);
}

void collect(const Shape& shape, std::set<const ObjectTable*>& into) {
  if (shape.object != nullptr) collect(*shape.object, into);
  if (shape.element) collect(*shape.element, into);
  for (const Shape& form : shape.alternatives) collect(form, into);
}

const boost::json::object& definition(const boost::json::object& schema, const ObjectTable& table) {
  if (schema.at("description").as_string() == table.doc()) return schema;
  for (const auto& entry : schema.at("$defs").as_object()) {
    const auto& object = entry.value().as_object();
    if (object.at("description").as_string() == table.doc()) return object;
  }
  throw std::runtime_error("no definition of " + table.name());
}

void expect_every_key(const std::string& text, const ObjectTable& root) {
  const boost::json::value value = boost::json::parse(text);
  const boost::json::object& schema = value.as_object();
  EXPECT_EQ(schema.at("$schema").as_string(), "https://json-schema.org/draft/2020-12/schema");
  std::set<const ObjectTable*> tables;
  collect(root, tables);
  EXPECT_GT(tables.size(), 5u);
  for (const ObjectTable* table : tables) {
    const auto& properties = definition(schema, *table).at("properties").as_object();
    std::size_t available = 0;
    for (const Field& field : table->fields()) {
      EXPECT_EQ(properties.contains(field.name), field.available) << table->name() << "." << field.name;
      if (field.available) {
        EXPECT_FALSE(field.doc.empty()) << table->name() << "." << field.name;
        ++available;
      }
    }
    EXPECT_EQ(properties.size(), available);
  }
}

TEST(Schema, IsValidJsonWithEveryKeyOfThePipeline) { expect_every_key(pipeline_json_schema(), PipelineSpec::table()); }

TEST(Schema, IsValidJsonWithEveryKeyOfTheServiceFile) { expect_every_key(service_json_schema(), ServiceSpec::table()); }

TEST(Schema, CarriesDefaultsRequiredAndLive) {
  const boost::json::value value = boost::json::parse(pipeline_json_schema());
  const auto& schema = value.as_object();
  const auto& source = definition(schema, SourceSpec::table());
  EXPECT_EQ(source.at("properties").at("readmit_after").at("default").as_string(), "5s");
  EXPECT_EQ(source.at("properties").at("on_gap").at("default").as_string(), "fail");
  EXPECT_EQ(source.at("required").as_array(), (boost::json::array{"fields"}));
  EXPECT_FALSE(source.at("additionalProperties").as_bool());
  EXPECT_TRUE(definition(schema, ThrottleSpec::table()).at("properties").at("max_rate").at("x-live").as_bool());
  EXPECT_EQ(
      definition(schema, DeadLetterSpec::table()).at("properties").at("max_error_ratio").at("default").as_double(),
      0.05);
}

}  // namespace
}  // namespace twinspan::config
