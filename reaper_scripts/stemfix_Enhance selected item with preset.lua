-- @description stemfix: Enhance selected item with preset
-- @version 0.1.0
-- @author stemfix
-- @about Asks for the preset, then separates and enhances the selected audio items.
-- @noindex

local here = select (2, reaper.get_action_context ()):match ("^(.*[/\\])")
local chunk, why = loadfile (here .. "stemfix/lib.lua")
if chunk then
  chunk (here .. "stemfix/").run ("enhance_with_preset")
else
  local remedy = "Run: stemfix daw install reaper"
  reaper.ShowMessageBox ("stemfix can't be loaded: " .. tostring (why) .. ". " .. remedy, "stemfix", 0)
end
