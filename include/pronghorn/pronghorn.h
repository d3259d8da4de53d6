// Everything an application usually needs. JSON (pronghorn/json.h) and testing (pronghorn/testing.h) are separate.
#pragma once

#include "pronghorn/app.h"
#include "pronghorn/error.h"
#include "pronghorn/hash.h"
#include "pronghorn/limit.h"
#include "pronghorn/log.h"
#include "pronghorn/middleware.h"
#include "pronghorn/plugin.h"
#include "pronghorn/redis.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/run.h"
#include "pronghorn/session.h"
#include "pronghorn/size.h"
#include "pronghorn/task.h"
