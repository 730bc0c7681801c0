-- lib: what the actions share: modules, settings, errors, the log, and work that is spread over many ticks.
--
-- An action's file loads this one with the folder of the modules: `loadfile (folder .. "lib.lua") (folder)`.
-- Every module is a function of this library that returns a table. No global is set.
--
-- Settings are REAPER's ExtState, section "stemfix", written by `stemfix daw install reaper`:
--   python, data_dir, version   absolute paths of the Python that has stemfix and of its data folder
--   preset                      of "Enhance selected item"
--   presets                     what "with preset" offers, separated by commas
--   track_settings              what the folder takes over from the track: "volume and pan", "effects" (both,
--                               and a copy of the track's FX) or "nothing"

local folder = ...
local lib = { folder = folder }
local loaded = {}
local r = reaper
--- Work on one tick ends after this; REAPER draws and plays on in between.
local TICK_S = 0.0015

--- The module in `<name>.lua`.
function lib.use (name)
  if not loaded[name] then
    local chunk, why = loadfile (lib.folder .. name .. ".lua")
    if not chunk then
      lib.fail ("stemfix is not installed completely: " .. why .. ". Run: stemfix daw install reaper")
    end
    loaded[name] = chunk () (lib)
  end
  return loaded[name]
end

--- Give up with a sentence for the user.
function lib.fail (sentence)
  error ({ sentence = sentence }, 0)
end

--- Call `f` and return what it returns, or nil and the sentence that says why it failed.
function lib.try (f, ...)
  local ok, result = pcall (f, ...)
  if ok then return result end
  if type (result) == "table" and result.sentence then return nil, result.sentence end
  return nil, "stemfix met an error of its own: " .. tostring (result)
end

--- What the installer wrote; fails where it did not.
function lib.settings ()
  if not lib.known_settings then
    local found = {}
    for _, key in ipairs ({ "python", "data_dir", "preset", "presets", "track_settings" }) do
      local value = r.GetExtState ("stemfix", key)
      if value ~= "" then found[key] = value end
    end
    if not found.python or not found.data_dir then
      lib.fail ("stemfix is not set up for REAPER. Run: stemfix daw install reaper")
    end
    lib.known_settings = found
  end
  return lib.known_settings
end

--- Add a line to `reaper.log` in the data folder; never fails.
function lib.log (...)
  local found = lib.try (lib.settings)
  local file = found and io.open (found.data_dir .. "/reaper.log", "a")
  if not file then return end
  local words = { os.date ("!%Y-%m-%d %H:%M:%S") }
  for i = 1, select ("#", ...) do words[#words + 1] = tostring ((select (i, ...))) end
  file:write ((table.concat (words, " "):gsub ("%c", " ")), "\n")
  file:close ()
end

--- Show the user a sentence.
function lib.tell (sentence)
  lib.log ("Told:", sentence)
  r.ShowMessageBox (sentence, "stemfix", 0)
end

--- Ask the user a question; true for yes.
function lib.ask (question)
  local yes = r.ShowMessageBox (question, "stemfix", 4) == 6
  lib.log ("Asked:", question, yes and "Yes" or "No")
  return yes
end

--- Let REAPER go on if this tick has lasted long enough. Pointers may be stale afterwards.
function lib.breathe ()
  if r.time_precise () - lib.tick_began > TICK_S then coroutine.yield () end
end

--- Called at the beginning of each tick where it is set: windows want to be drawn whatever the work is at.
lib.on_tick = nil

--- Wait for the next tick.
function lib.next_tick ()
  coroutine.yield ()
end

--- Run one of the actions in `actions.lua`, over as many ticks as it takes. Whatever goes wrong is told.
function lib.run (action)
  -- REAPER 7.03 and later: a second start takes over without a question.
  if r.set_action_options then r.set_action_options (3) end
  local work = coroutine.create (function ()
    local _, why = lib.try (function ()
      lib.settings ()
      lib.log ("Action:", action)
      lib.use ("actions")[action] ()
    end)
    if why then lib.tell (why) end
  end)
  local function tick ()
    lib.tick_began = r.time_precise ()
    if lib.on_tick then lib.on_tick () end
    local ok, why = coroutine.resume (work)
    if not ok then return r.ShowMessageBox (tostring (why), "stemfix", 0) end
    if coroutine.status (work) ~= "dead" then r.defer (tick) end
  end
  tick ()
end

return lib
