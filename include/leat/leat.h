/* include/leat/leat.h -- all of Leat. */
#ifndef LEAT_LEAT_H
#define LEAT_LEAT_H
#include <leat/aggregate.h>
#include <leat/api.h>
#include <leat/batch.h>
#include <leat/branch.h>
#include <leat/ctx.h>
#include <leat/error.h>
#include <leat/file.h>
#include <leat/filter.h>
#include <leat/generator.h>
#include <leat/job.h>
#include <leat/join.h>
#include <leat/key.h>
#include <leat/log.h>
#include <leat/map.h>
#include <leat/memory.h>
#include <leat/peek.h>
#include <leat/process.h>
#include <leat/source.h>
#include <leat/stream.h>
#include <leat/test.h>
#include <leat/timer.h>
#include <leat/type.h>
#include <leat/union.h>
#include <leat/window.h>
#endif
