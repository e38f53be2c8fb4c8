// The parts of the index page that tell of services, operations and errors. Everything from spans is escaped. Pure; any
// thread.
#ifndef SPANWATCH_SIDECAR_HTTP_PAGE_SERVICES_H_
#define SPANWATCH_SIDECAR_HTTP_PAGE_SERVICES_H_

#include <string>

#include "sidecar/core/errors_view.h"
#include "sidecar/core/health_view.h"
#include "sidecar/core/overview_view.h"

namespace spanwatch::http {

// Each is empty if there is nothing to show.
std::string ServicesPanel(const core::HealthView& health, const core::OverviewView& overview);
std::string OperationsPanel(const core::OverviewView& overview);
std::string ErrorsPanel(const core::ErrorsView& errors);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_PAGE_SERVICES_H_
